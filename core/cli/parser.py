"""Parse a command line: find the command, read the shared options, and build the parser of that command alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from core.cli.commands import ALIASES, COMMANDS, DEFAULTS, Command, family, first_words
from core.cli.exit_codes import MEANINGS
from core.cli.program_words import split_program
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class _Container(Protocol):
        def add_argument(self, *names: str, **settings: Any) -> argparse.Action: ...


#: The last column in which the help of an argument may start.
_HELP_COLUMN = 28
_COLOURS = ("auto", "always", "never")
#: Options without a value, and with one, that may also stand before the command.
_FLAGS = {"--json": "json"}
_VALUES = {"--db": "db", "--color": "color", "--colour": "color"}


class Group:
    """Arguments that stand under one title in the help."""

    def __init__(self, title: str, add: Callable[..., argparse.Action]) -> None:
        self.title = title
        self.actions: list[argparse.Action] = []
        self._add = add

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an argument as ``ArgumentParser.add_argument`` does."""
        action = self._add(*names, **settings)
        self.actions.append(action)
        return action


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of printing it, and whose help is the same on every Python.

    ``options`` maps each spelling of an option (``--name``, ``-p``) to its action.
    """

    def __init__(self, prog: str, usage: str, description: str, width: int | None = None) -> None:
        self._width = width
        self.options: dict[str, argparse.Action] = {}
        # for each argument argparse makes a formatter, which looks up the width of the terminal unless it has one
        formatter = partial(argparse.HelpFormatter, width=80)
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            formatter_class=formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self._groups = [Group("arguments", self._note), Group("options", self._note)]
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument of the command's own."""
        group = self._groups[1 if names[0].startswith("-") else 0]
        return group.add_argument(*names, **settings)

    def add_group(self, title: str) -> Group:
        """Return a new group of options, below those that there are."""
        self._groups.append(Group(title, self._note))
        return self._groups[-1]

    def add_exclusive_group(self) -> Group:
        """Return a group of options of the command's own, of which only one may be given."""
        return Group("", partial(self._note, container=self.add_mutually_exclusive_group(), group=self._groups[1]))

    def _note(
        self, *names: str, container: _Container | None = None, group: Group | None = None, **settings: Any
    ) -> argparse.Action:
        add = super().add_argument if container is None else container.add_argument
        action = add(*names, **settings)
        self.options.update(dict.fromkeys(action.option_strings, action))
        if group is not None:
            group.actions.append(action)
        return action

    def add_job(self) -> None:
        """Add the argument JOB; ``parse`` refuses that it is missing, after it has refused unknown options."""
        self.add_argument("job", metavar="JOB", nargs="?", help="its number or name")

    def examples(self, *lines: str) -> None:
        """Show examples below the options."""
        self.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)

    def format_help(self) -> str:
        """Return the help, as wide as the terminal unless a width was given."""
        import shutil
        import textwrap

        width = self._width or max(40, min(100, shutil.get_terminal_size().columns - 2))
        sections = self.sections()
        longest = max(len(invocation) for _, rows in sections for invocation, _ in rows)
        column = min(longest + 4, _HELP_COLUMN)
        parts = [f"usage: {self.usage}", textwrap.fill(self.description or "", width)]
        for title, rows in sections:
            lines = [line for invocation, text in rows for line in _help_lines(invocation, text, column, width)]
            parts.append("\n".join([f"{title}:", *lines]))
        return "\n\n".join([*parts, *([self.epilog] if self.epilog else [])]) + "\n"

    def sections(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the titles of the help that have arguments, each with how an argument is written and its help."""
        found = [
            (
                group.title,
                [(_invocation(one), one.help or "") for one in group.actions if one.help != argparse.SUPPRESS],
            )
            for group in self._groups
        ]
        return [(title, rows) for title, rows in found if rows]

    def error(self, message: str) -> object:  # type: ignore[override] # argparse says NoReturn: raising is that
        raise UsageError(f"{message}; see '{self.prog} --help'")


def _invocation(action: argparse.Action) -> str:
    """Return how an argument is written: ``-p, --priority N``."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    names = ", ".join(["-0", *action.option_strings] if action.dest == "null" else action.option_strings)
    many = "…" if action.nargs == "+" else ""
    return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}{many}"


def _help_lines(invocation: str, text: str, column: int, width: int) -> list[str]:
    """Return an argument and its help, which starts at a column, below it if there is no room beside it."""
    import textwrap

    start = f"  {invocation}"
    lines = textwrap.wrap(text, max(11, width - column)) or [""]
    if len(start) + 2 > column:
        return [start, *(f"{'':{column}}{line}" for line in lines)]
    return [f"{start:{column}}{lines[0]}", *(f"{'':{column}}{line}" for line in lines[1:])]


def build_parser(command: Command, width: int | None = None) -> Parser:
    """Return the parser of one command; its module is loaded."""
    prog = f"queuectl {command.name}"
    summary = command.summary[:1].upper() + command.summary[1:]
    parser = Parser(prog, f"{prog} {command.usage}", f"{summary}.", width)
    import_module(f"core.cli.verbs.{command.module}").configure(parser, command.name)
    shared = parser.add_group("common options")
    shared.add_argument(
        "--db", metavar="ADDRESS", default=argparse.SUPPRESS, help="the database to use: a path or postgresql://…"
    )
    # added to every command, so that one without JSON refuses it in the same words before and after its name
    json_help = "print JSON and nothing else" if command.has_json else argparse.SUPPRESS
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=json_help)
    shared.add_argument(
        "--color",
        "--colour",
        choices=_COLOURS,
        metavar="WHEN",
        default=argparse.SUPPRESS,
        help="auto (default), always or never",
    )
    return parser


def parse(arguments: Sequence[str]) -> tuple[Command | None, argparse.Namespace]:
    """Return the command of a command line and its options; no command for an empty line or ``--help``."""
    given = argparse.Namespace(db=None, json=False, color="auto", rest=[])
    rest = _take_shared(list(arguments), given)
    if not rest:
        _refuse_json("help", given)
    if not rest or rest[0] in ("-h", "--help"):
        return None, given
    if rest[0] in ("-V", "--version"):
        _take_shared(rest[1:], given)
        _refuse_json("--version", given)
        return COMMANDS["help"], argparse.Namespace(**vars(given), version=True, words=[])
    if rest[0].startswith("-"):
        raise UsageError(f"unknown option {rest[0]!r}; see 'queuectl --help'")
    command, rest = _find(rest, given)
    if command is None:
        given.rest = rest
        return None, given
    options = _parse_options(command, rest, given)
    if not command.has_json:
        _refuse_json(command.name, options)
    return command, options


def _refuse_json(what: str, options: argparse.Namespace) -> None:
    if options.json:
        raise UsageError(f"{what} prints text that is no JSON; leave --json out")


def _take_shared(arguments: list[str], given: argparse.Namespace) -> list[str]:
    """Note the shared options at the beginning; return what follows them."""
    while arguments and arguments[0].startswith("--"):
        name, equals, value = arguments[0].partition("=")
        if name in _FLAGS and not equals:
            setattr(given, _FLAGS[name], True)
            arguments = arguments[1:]
        elif name in _VALUES:
            if not equals and len(arguments) < 2:
                raise UsageError(f"{name} needs a value; see 'queuectl --help'")
            value = value if equals else arguments[1]
            if _VALUES[name] == "color" and value not in _COLOURS:
                raise UsageError(f"--color is one of {', '.join(_COLOURS)}, not {value!r}")
            setattr(given, _VALUES[name], value)
            arguments = arguments[1 if equals else 2 :]
        else:
            break
    return arguments


def _find(words: list[str], given: argparse.Namespace) -> tuple[Command | None, list[str]]:
    """Return the command that the words begin with and the words after it; no command for ``FAMILY --help``."""
    first, rest = words[0], words[1:]
    if first in COMMANDS:
        return COMMANDS[first], rest
    if first not in DEFAULTS:
        raise UsageError(f"no command {first!r}{_nearest(first, first_words())}; see 'queuectl --help'")
    rest = _take_shared(rest, given)
    if rest[:1] == ["-h"] or rest[:1] == ["--help"]:
        return None, [first]
    if not rest or rest[0].startswith("-"):
        return COMMANDS[f"{first} {DEFAULTS[first]}"], rest
    name = f"{first} {rest[0]}"
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        known = family(first)
        raise UsageError(f"no command {name!r}{_nearest(rest[0], known)}; {first} takes {', '.join(known)}")
    return COMMANDS[name], rest[1:]


def _nearest(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {found[0]!r}?" if found else ""


def _parse_options(command: Command, words: list[str], given: argparse.Namespace) -> argparse.Namespace:
    parser = build_parser(command)
    verbatim: list[str] = []
    if command.takes_command_line:
        words, verbatim = split_program(parser, words, command.name)
    elif "--" in words and ("JOB…" in command.usage or " -- " in command.usage):
        # argparse reads "--" as a word when options stand between the words before it
        index = words.index("--")
        words, verbatim = words[:index], words[index + 1 :]
    options, extra = parser.parse_known_args(words, given)
    unknown = [word for word in extra if word.startswith("-") and word != "-"]
    many = getattr(options, "words", None)
    if unknown or (extra and not isinstance(many, list)):
        word = (unknown or extra)[0]
        hint = f"see '{parser.prog} --help'"
        if unknown and "JOB" in command.usage and not vars(options).get("job"):
            import shlex

            hint += f"; for a job of that name write: {parser.prog} -- {shlex.quote(word)}"
        raise UsageError(f"unknown argument {word!r}; {hint}")
    if vars(options).get("job", "") is None:
        raise UsageError(f"{command.name} which job? give its number or name")
    if isinstance(many, list):
        options.words = [*many, *extra, *verbatim]
    options.command_name = command.name
    return options


def overview() -> str:
    """Return the help of the program."""
    import textwrap

    width = max(len(name) for name in COMMANDS)
    lines = [f"  {command.name:{width}}  {command.summary}" for command in COMMANDS.values()]
    return "\n".join(
        [
            "usage: queuectl [--db ADDRESS] [--color auto|always|never] [--json] COMMAND …",
            "",
            "A durable queue for shell commands: retries with back-off, a dead letter queue, kept output.",
            "",
            "commands:",
            *lines,
            "",
            "options, before or after the command:",
            "  --db ADDRESS   the database: a path or postgresql://… (default: $QUEUECTL_DB, else your own queue)",
            "  --color WHEN   auto (default), always or never",
            "  --json         print JSON and nothing else",
            "  --version      print the version",
            "",
            *textwrap.wrap(
                "A job is named by its number or its --name. Exit codes: "
                + ", ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
                + ".",
                96,
            ),
            "",
            "examples:",
            '  queuectl enqueue "convert in.png out.webp"',
            "  queuectl worker --concurrency 4",
            "  queuectl list",
            "  queuectl dlq replay --all",
            "",
            "'queuectl help COMMAND' shows the options of a command. queuectl-tui is the live dashboard.",
            "",
        ]
    )


def family_overview(name: str) -> str:
    """Return the help of a family of commands."""
    commands = [command for command in COMMANDS.values() if command.name.startswith(f"{name} ")]
    width = max(len(command.name) + len(command.usage) + 1 for command in commands)
    lines = [f"  {command.name + ' ' + command.usage:{width}}  {command.summary}" for command in commands]
    header = f"usage: queuectl {name} {'|'.join(family(name))} …"
    return "\n".join([header, "", *lines, "", f"'queuectl help {name} {family(name)[0]}' shows the options.", ""])
