"""What a benchmark reports: one line of the table, its target, and the sizes of a run."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the value that a line is judged by."""

    is_at_least: bool
    bound: float
    unit: str = ""

    def is_met(self, value: float) -> bool:
        """Tell whether a value keeps to the bound."""
        return value >= self.bound if self.is_at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.is_at_least else '≤'} {self.bound:g}{self.unit and ' ' + self.unit}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what was measured, ours, what it is measured against, and the target if there is one.

    ``ratio`` is what the target judges, unless it is ``None``: then the target judges ``ours`` itself.
    """

    name: str
    what: str
    ours: float
    unit: str
    against: str = ""
    theirs: float | None = None
    ratio: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Tell whether the target is met, ``None`` without a target."""
        if self.target is None:
            return None
        return self.target.is_met(self.ours if self.ratio is None else self.ratio)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a run does: the whole table in minutes, or a short form of it in seconds."""

    rounds: int
    throughput_jobs: int
    batch_lines: int
    starts: int
    latencies: int
    small_queue: int
    middle_queue: int
    large_queue: int
    delayed: int
    claims: int
    memory_jobs: int
    idle_s: float
    peer_jobs: int
    dashboard_starts: int
    keys: int
    changes: int
    busy_s: float
    output_lines: int
    outputs: int


FULL = Scale(
    5,
    1000,
    100_000,
    21,
    200,
    1000,
    100_000,
    1_000_000,
    100_000,
    300,
    100_000,
    10.0,
    300,
    11,
    60,
    120,
    15.0,
    1_000_000,
    100_000,
)
QUICK = Scale(3, 300, 20_000, 5, 25, 1000, 10_000, 50_000, 10_000, 100, 2000, 2.0, 60, 3, 20, 12, 5.0, 200_000, 10_000)


def middle_ratio(upper: list[float], lower: list[float]) -> float:
    """Return the median of the ratios of measurements that were taken side by side."""
    return median(above / below for above, below in zip(upper, lower, strict=True))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
