"""The table of settings: name, kind, unit, default, bounds, help; and how a value is read from text."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from core.errors import UsageError
from core.rules.arguments import check_kind
from core.rules.units import MAX_DURATION_S, format_duration, parse_duration, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.rules.backoff import Backoff

SettingValue = int | float | str

#: The shortest lease of a host, in seconds, with which no two commands run at once: see ``core.rules.lease_terms``.
SHORTEST_LEASE_S = 6.0


class Setting:
    """One setting of kind ``integer``, ``number``, ``duration`` (seconds), ``size`` (bytes), ``text`` or ``choice``."""

    # no dataclass: importing what makes one costs a third of adding a job
    __slots__ = ("choices", "default", "help", "high", "key", "kind", "low")

    def __init__(
        self,
        key: str,
        kind: str,
        default: SettingValue,
        help: str,
        low: float = 0,
        high: float = float("inf"),
        choices: tuple[str, ...] = (),
    ) -> None:
        self.key = key
        self.kind = kind
        self.default = default
        self.help = help
        self.low = low
        self.high = high
        self.choices = choices

    def parse(self, text: str) -> SettingValue:
        """Return the value that a text means; raise ``UsageError`` when it means none or one out of bounds."""
        if self.kind == "choice":
            if text not in self.choices:
                raise UsageError(f"{self.key} is one of {', '.join(self.choices)}, not {text!r}")
            return text
        if self.kind == "text":
            if not text.strip() or "\0" in text:
                raise UsageError(f"{self.key} cannot be empty or hold a NUL")
            return text
        value = self._number(text)
        if not self.low <= value <= self.high:
            raise UsageError(f"{self.key} is {self.bounds}, not {text}")
        return value

    def _number(self, text: str) -> int | float:
        if self.kind == "duration":
            return parse_duration(text, self.key, min(self.high, MAX_DURATION_S))
        if self.kind == "size":
            return parse_size(text, self.key)
        try:
            number = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            raise UsageError(f"{self.key} is {self.bounds}, not {text!r}") from None
        if number != number:
            raise UsageError(f"{self.key} is {self.bounds}, not {text!r}")
        return number

    @property
    def bounds(self) -> str:
        """Return the words for the values that are allowed: ``a whole number from 1 to 100``."""
        noun = {"integer": "a whole number", "number": "a number"}.get(self.kind, f"a {self.kind}")
        if self.high == float("inf"):
            return f"{noun} of at least {self.format(self.low)}"
        return f"{noun} from {self.format(self.low)} to {self.format(self.high)}"

    def format(self, value: SettingValue) -> str:
        """Return the text that ``parse`` reads back as this value."""
        if self.kind == "duration":
            return format_duration(float(value))
        if self.kind == "size":
            size = int(value)
            for unit, shift in (("G", 30), ("M", 20), ("K", 10)):
                if size and size % (1 << shift) == 0:
                    return f"{size >> shift}{unit}"
            return str(size)
        if self.kind == "integer":
            return str(int(value))
        if self.kind == "number":
            return repr(float(value)).removesuffix(".0")
        return str(value)


SETTINGS: Mapping[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("max-attempts", "integer", 3, "starts allowed before a job is dead, for new jobs", 1, 1_000_000),
        Setting("backoff-base", "number", 2.0, "base of the back-off: base ** attempts seconds, for new jobs", 1, 1000),
        Setting("backoff-cap", "duration", 3600.0, "longest back-off", 0, 365 * 86400),
        Setting("jitter", "number", 0.0, "share by which a back-off is spread either way, after the cap", 0, 1),
        Setting("timeout", "duration", 0.0, "time limit of an attempt, for new jobs; 0 is none"),
        Setting("kill-grace", "duration", 5.0, "time between TERM and KILL when an attempt is stopped", 0, 3600),
        Setting("output-limit", "size", 1 << 30, "output that ends a runaway attempt; 0 is none"),
        Setting(
            "output-shared", "size", 8 << 20, "output of an attempt that a server keeps for other hosts, from its start"
        ),
        Setting("keep-completed", "duration", 0.0, "age at which completed jobs are pruned; 0 keeps them"),
        Setting("keep-purged", "duration", 7 * 86400.0, "age at which purged jobs are removed for good; 0 keeps them"),
        Setting("shell", "text", "/bin/sh", "shell that runs the commands: SHELL -c COMMAND"),
        Setting(
            "capture-env",
            "choice",
            "safe",
            "environment kept with a new job: safe leaves secrets to the worker",
            choices=("safe", "all", "none"),
        ),
        Setting(
            "durability",
            "choice",
            "normal",
            "normal syncs a worker's results once a second, full syncs each",
            choices=("normal", "full"),
        ),
        Setting(
            "host-lease",
            "duration",
            300.0,
            "how long a host may be silent before others run its jobs; on a server, for hosts that join from now on",
            SHORTEST_LEASE_S,
            86400,
        ),
        Setting("busy-timeout", "duration", 5.0, "longest wait for another writer", 0.01, 3600),
    )
}

#: Other spellings of a setting that input may have.
ALIASES: Mapping[str, str] = {"max-retries": "max-attempts"}


def find_setting(key: str) -> Setting:
    """Return the setting with a name (``_`` reads as ``-``); raise ``UsageError`` when there is none."""
    check_kind(key, "the key", str, "a text")
    canonical = key.replace("_", "-").lower()
    canonical = ALIASES.get(canonical, canonical)
    if canonical not in SETTINGS:
        raise UsageError(f"no setting {key!r}; see 'queuectl config list'")
    return SETTINGS[canonical]


class Settings:
    """The values in force: what the database holds, else the defaults. Immutable; typed by property."""

    def __init__(self, stored: Mapping[str, str] | None = None) -> None:
        self._curves: dict[float, Backoff] = {}
        self._values: dict[str, SettingValue] = {key: setting.default for key, setting in SETTINGS.items()}
        for key, text in (stored or {}).items():
            # a key of a newer version, or a value that another tool spoilt, leaves the default (doctor reports it)
            if key in SETTINGS:
                with contextlib.suppress(UsageError):
                    self._values[key] = SETTINGS[key].parse(text)

    def __getitem__(self, key: str) -> SettingValue:
        return self._values[key]

    def number(self, key: str) -> float:
        """Return a numeric setting as a float, in its unit (seconds, bytes, or none)."""
        return float(self._values[key])

    @property
    def max_attempts(self) -> int:
        return int(self._values["max-attempts"])

    @property
    def timeout_s(self) -> float | None:
        return self.number("timeout") or None

    @property
    def kill_grace_s(self) -> float:
        return self.number("kill-grace")

    @property
    def output_limit_bytes(self) -> int | None:
        return int(self._values["output-limit"]) or None

    @property
    def output_shared_bytes(self) -> int:
        return int(self._values["output-shared"])

    @property
    def output_limit_text(self) -> str:
        return SETTINGS["output-limit"].format(self._values["output-limit"])

    @property
    def shell(self) -> str:
        return str(self._values["shell"])

    @property
    def is_fully_durable(self) -> bool:
        return self._values["durability"] == "full"

    def backoff(self, base: float) -> Backoff:
        """Return the back-off curve of jobs with this base: the settings have its cap and jitter."""
        curve = self._curves.get(base)
        if curve is None:
            from core.rules.backoff import Backoff

            curve = self._curves[base] = Backoff(base, self.number("backoff-cap"), self.number("jitter"))
        return curve
