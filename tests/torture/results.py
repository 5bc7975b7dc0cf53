"""What a harness is asked for and what it reports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """How hard to try: the seed of every random choice, the short form or the long one, another length in seconds.

    ``share`` is the part that is wanted of the numbers of cases; ``is_until_found`` ends with the first problem.
    """

    seed: int
    is_short: bool = True
    seconds: float | None = None
    share: float = 1.0
    is_until_found: bool = False

    def random(self) -> random.Random:
        """Return the harness's own source of chance."""
        return random.Random(self.seed)

    def pick(self, short: int, long: int) -> int:
        """Return the number that belongs to the form asked for."""
        return max(1, round((short if self.is_short else long) * self.share))

    def length_s(self, short: float, long: float) -> float:
        """Return for how many seconds to run."""
        return self.seconds if self.seconds is not None else short if self.is_short else long

    def is_enough(self, result: Result) -> bool:
        """Tell whether to go no further."""
        return self.is_until_found and bool(result.problems)


@dataclass(slots=True)
class Result:
    """What a harness did, in numbers, and what it found wrong; ``skipped`` is why it could not run here."""

    numbers: dict[str, int | float | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    skipped: str | None = None

    def count(self, what: str, by: int = 1) -> None:
        """Add to a number."""
        self.numbers[what] = int(self.numbers.get(what, 0)) + by

    def most(self, what: str, value: float) -> None:
        """Keep the largest value seen, to the millisecond."""
        self.numbers[what] = max(float(self.numbers.get(what, 0.0)), round(value, 3))

    def expect(self, is_true: bool, problem: str) -> None:
        """Note a problem unless something holds."""
        if not is_true:
            self.problems.append(problem)
