"""The table of a job's fields: one row a field, with all that options, JSON, the form and ``show`` know about it.

Made from it are the options of ``enqueue``, ``run`` and ``edit``, the keys of JSON, bounds and defaults, the columns
of the table of jobs, the form of the dashboard, the lines of ``show`` and of the detail pane, and the command line that
is copied. What a kind means is decided there, once for all fields of the kind. A new field is a row here, an attribute
of ``NewJob`` and of ``Job``, a column in a new file of the schema, and what it does.

Plain classes, no dataclasses: ``queuectl enqueue`` loads this each time.
"""

from __future__ import annotations

from collections import namedtuple

from core.errors import UsageError
from core.rules.settings import SETTINGS
from core.rules.units import MAX_DURATION_S, exit_code_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What becomes of a running job whose host is given up. The first one is the default, and is stored as none.
LOST_HOST_CHOICES = ("rerun", "hold")


class Spelling:
    """One way to give a field: the option ``--key`` if it has a metavar or is a flag, and the key of a JSON object.

    ``kind`` says how its text or its JSON value is read; ``wanted`` how a refusal calls what JSON may hold there.
    Without a ``help`` it is another name of the option before it. ``is_for_new`` keeps it out of ``edit``.
    """

    __slots__ = ("destination", "example", "help", "is_for_new", "key", "kind", "letter", "metavar", "wanted")

    def __init__(
        self,
        key: str,
        kind: str,
        metavar: str = "",
        help: str = "",
        *,
        letter: str = "",
        wanted: str = "",
        destination: str = "",
        example: float = 0,
        is_for_new: bool = False,
    ) -> None:
        self.key = key
        self.kind = kind
        self.metavar = metavar
        self.help = help
        self.letter = letter
        self.wanted = wanted
        self.destination = destination or key.replace("-", "_")
        self.example = example
        self.is_for_new = is_for_new


class FormPlace:
    """Where the form of the dashboard asks for a field: row 0 is the command; ``hint`` is one line of help."""

    __slots__ = ("hint", "placeholder", "row")

    def __init__(self, row: int, hint: str, placeholder: str = "") -> None:
        self.row = row
        self.hint = hint
        self.placeholder = placeholder


class Shown:
    """How ``show`` prints a value: the name of the line, and a format; ``detail`` is the dashboard's format."""

    __slots__ = ("detail", "label", "line")

    def __init__(self, label: str, line: str = "{}", detail: str = "{}") -> None:
        self.label = label
        self.line = line
        self.detail = detail


class JobField:
    """One field of a job; ``name`` is its attribute in ``NewJob`` and ``Job``, ``column`` that of the table of jobs.

    ``kind`` is ``command``, ``name``, ``queue``, ``text``, ``directory``, ``whole``, ``number``, ``duration``
    (seconds), ``instant``, ``codes`` (exit codes), ``variables``, ``flag``, ``needs`` or ``choice``; the first of the
    ``choices`` is stored as none. ``default`` holds for a field that is not given; where it is ``None``, the setting
    ``setting`` does, and without one the job has no such value. A number is from ``low`` to ``high``. ``exact_key`` is
    the spelling that can give any value. ``noun`` is its name in errors, ``label`` in the dashboard. ``form`` is
    ``None`` for what the form does not ask, ``shown`` for what ``show`` prints as a part of another line.
    """

    __slots__ = (
        *("choices", "column", "default", "exact_key", "form", "high", "is_clearable", "kind", "label", "low", "name"),
        *("noun", "setting", "shown", "spellings"),
    )

    def __init__(
        self,
        name: str,
        kind: str,
        noun: str,
        *spellings: Spelling,
        label: str,
        column: str = "",
        default: str | int | None = None,
        setting: str = "",
        low: float = 0,
        high: float = float("inf"),
        exact_key: str = "",
        choices: tuple[str, ...] = (),
        is_clearable: bool = False,
        form: FormPlace | None = None,
        shown: Shown | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.noun = noun
        self.spellings = spellings
        self.label = label
        self.column = column or name
        self.default = default
        self.setting = setting
        self.low = low
        self.high = high
        self.exact_key = exact_key or spellings[0].key
        self.choices = choices
        self.is_clearable = is_clearable
        self.form = form
        self.shown = shown

    @property
    def key(self) -> str:
        """The first spelling: the field's name on the command line."""
        return self.spellings[0].key

    @property
    def nothing(self) -> int | None:
        """The value that clears the field: 0 for a duration, of which ``None`` means the setting."""
        return 0 if self.kind == "duration" else None

    @property
    def default_help(self) -> str:
        """The words in an option's help for the default; empty where there is none."""
        if self.setting:
            return f"the setting {self.setting}"
        if self.default is None:
            return "here" if self.kind == "directory" else ""
        return "" if self.kind == "flag" else str(self.default)


_ATTEMPTS, _BASE = SETTINGS["max-attempts"], SETTINGS["backoff-base"]

#: In the order of ``NewJob``, of the options and of the columns that a new row is inserted with.
FIELDS: tuple[JobField, ...] = (
    JobField(
        "command",
        "command",
        "the command",
        Spelling("command", "text"),
        label="Command",
        default="",  # which is refused
        form=FormPlace(0, "for the shell: pipes, quotes and several lines are fine"),
        shown=Shown("command"),
    ),
    JobField(
        "name",
        "name",
        "the name",
        Spelling("name", "text", "NAME", "a unique name, to speak of the job by"),
        Spelling(
            "id",
            "text",
            "NAME",
            wanted="a text: it is taken as the name; numbers are given by the queue",
            destination="name",
            is_for_new=True,  # for "edit" an id is that of the job that is changed
        ),
        label="Name",
        is_clearable=True,
        form=FormPlace(5, "unique; stands for the id everywhere", "none"),
        shown=Shown("name"),
    ),
    JobField(
        "queue",
        "queue",
        "the queue",
        Spelling("queue", "text", "QUEUE", "the queue it waits in"),
        label="Queue",
        default="default",
        form=FormPlace(1, "one word", "default"),
        shown=Shown("queue"),
    ),
    JobField(
        "priority",
        "whole",
        "the priority",
        Spelling("priority", "whole", "N", "higher ones run first", letter="p", example=10),
        label="Priority",
        default=0,
        low=-1_000_000_000,
        high=1_000_000_000,
        form=FormPlace(1, "higher goes first; 0 is normal", "0"),
        shown=Shown("priority"),
    ),
    JobField(
        "run_at",
        "instant",
        "run_at",
        Spelling("delay", "delay", "TIME", "run it later: 90s, 10m, 1h30m, 2d"),
        Spelling("at", "time", "TIME", "run it then: 18:30, 9am, noon, 'tomorrow 9:00', +5m, 2026-01-31T18:30, now"),
        Spelling("run-at", "epoch", "TIME", "the same; also seconds since 1970, and the past is now"),
        label="When",
        exact_key="run-at",
        is_clearable=True,
        form=FormPlace(2, "10m, 18:30 or 2026-01-31T18:30; empty is now", "now"),
    ),
    JobField(
        "max_attempts",
        "whole",
        "max-attempts",
        Spelling("max-attempts", "whole", "N", "starts allowed before it is dead", example=3),
        Spelling(
            "max-retries",
            "retries",
            "N",
            "another spelling of --max-attempts, in which 0 is one try",
            destination="max_attempts",
            example=3,
        ),
        label="Attempts",
        setting=_ATTEMPTS.key,
        low=int(_ATTEMPTS.low),
        high=int(_ATTEMPTS.high),
        form=FormPlace(2, "starts allowed before the job is dead", "as configured"),
    ),
    JobField(
        "timeout_s",
        "duration",
        "the timeout",
        Spelling("timeout", "duration", "TIME", "time limit of an attempt; 0 for none"),
        Spelling("timeout-seconds", "duration", wanted="a number of seconds"),
        label="Timeout",
        column="timeout_ms",
        setting="timeout",
        low=0.001,
        high=MAX_DURATION_S,
        is_clearable=True,
        form=FormPlace(3, "30s, 5m, 1h30m or none", "as configured"),
        shown=Shown("time limit"),
    ),
    JobField(
        "backoff_base",
        "number",
        "backoff-base",
        Spelling("backoff-base", "number", "B", "wait B ** attempts seconds before a retry", example=1.5),
        label="Back-off",
        setting=_BASE.key,
        low=_BASE.low,
        high=_BASE.high,
        shown=Shown("back-off", "{:g} ** attempts seconds"),
    ),
    JobField(
        "cwd",
        "directory",
        "cwd",
        Spelling("cwd", "text", "DIR", "where it runs"),
        label="Directory",
        form=FormPlace(4, "where the command runs"),
        shown=Shown("directory"),
    ),
    JobField(
        "env",
        "variables",
        "env",
        Spelling("env", "variables", "NAME=VALUE", "a variable for it; may be given several times"),
        label="Variables",
        is_clearable=True,
        shown=Shown("variables"),
    ),
    JobField(
        "label",
        "text",
        "the label",
        Spelling("label", "text", "TEXT", "a word to find it by"),
        label="Label",
        is_clearable=True,
        form=FormPlace(3, "to find it again: label:nightly", "none"),
        shown=Shown("label"),
    ),
    JobField(
        "ok_exit",
        "codes",
        "ok-exit",
        Spelling(
            "ok-exit",
            "codes",
            "CODES",
            "exit codes that count as success besides 0: 24,64-78",
            wanted="exit codes such as 0,24",
        ),
        label="Success",
        is_clearable=True,
        shown=Shown("ok exits", "0,{}", detail="exit {}"),
    ),
    JobField(
        "dead_exit",
        "codes",
        "dead-exit",
        Spelling(
            "dead-exit",
            "codes",
            "CODES",
            "exit codes after which a retry is pointless",
            wanted="exit codes such as 64-78",
        ),
        label="Dead on",
        is_clearable=True,
        shown=Shown("dead exits", detail="exit {}"),
    ),
    JobField(
        "is_held",
        "flag",
        "hold",
        # of a job that exists there are verbs for it
        Spelling("hold", "flag", "", "keep it from being run until 'queuectl release' lets it go", is_for_new=True),
        label="Held",
        default=False,
        form=FormPlace(5, "yes: it waits until h releases it", "no"),
    ),
    JobField(
        "on_dead",
        "command",
        "on-dead",
        Spelling("on-dead", "text", "COMMAND", "a line for the shell that runs as a job once this one is dead"),
        label="On dead",
        is_clearable=True,
        shown=Shown("on dead"),
    ),
    JobField(
        "on_complete",
        "command",
        "on-complete",
        Spelling("on-complete", "text", "COMMAND", "the same, once this one has completed"),
        label="On complete",
        is_clearable=True,
        shown=Shown("on complete"),
    ),
    JobField(
        "needs",
        "needs",
        "needs",
        Spelling(
            "needs",
            "needs",
            "NAME=N,…",
            "what of resources it needs while it runs: gpu=2,license",
            wanted='a text such as gpu=2,license or an object such as {"gpu": 2}',
        ),
        label="Needs",
        is_clearable=True,
        form=FormPlace(6, "of resources, while it runs: gpu=2,license", "nothing"),
        shown=Shown("needs"),
    ),
    JobField(
        "on_lost_host",
        "choice",
        "on-lost-host",
        Spelling(
            "on-lost-host",
            "text",
            "WHAT",
            "rerun it elsewhere when its host is given up, or hold it until 'host forget'",
            wanted="rerun or hold",
        ),
        label="Lost host",
        choices=LOST_HOST_CHOICES,
        is_clearable=True,
        shown=Shown("on lost host"),
    ),
)
FIELD = {field.name: field for field in FIELDS}

#: How what a new job waits for is given: attributes of ``NewJob`` that are no columns, but an edge to each other job.
#: ``ref`` names a job of a batch, and is a key of JSON alone.
LINKS: tuple[Spelling, ...] = (
    Spelling("after", "jobs", "JOBS", "start it once these jobs have completed: build,12; may be given several times"),
    Spelling("after-end", "jobs", "JOBS", "start it once these have ended, dead and cancelled included: fetch,12"),
    Spelling("ref", "ref", wanted="a name that holds in this batch"),
)

if TYPE_CHECKING:
    JobRow = Any
else:
    #: A checked job as it is stored: a value for each field's column, defaults filled in, times in milliseconds.
    JobRow = namedtuple("JobRow", [field.column for field in FIELDS])


def time_ahead(run_at: int | None, now: int) -> int | None:
    """Return the time that a job is delayed to, in milliseconds; ``None`` without one, and for one that has gone by."""
    return run_at if run_at is not None and run_at > now else None


def check_together(row: JobRow) -> None:
    """Raise ``UsageError`` if checked fields contradict each other: an exit code that is success and ends the job."""
    ok, dead = row.ok_exit, row.dead_exit
    if dead is None:
        return
    if exit_code_matches(0, dead):
        raise UsageError(f"dead-exit {dead} has 0, which is success; leave it out")
    both = [code for code in range(256) if ok and exit_code_matches(code, ok) and exit_code_matches(code, dead)]
    if both:
        raise UsageError(f"exit code {both[0]} is in ok-exit and in dead-exit; leave it out of one")
