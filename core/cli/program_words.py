"""Split a command line into the options of queuectl and the words of the queued program.

From its first word on everything belongs to the program, as with ``env``, ``nohup`` and ``timeout``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.cli.parser import Parser

#: A word with one of these is a line for the shell or JSON: no program has such a name by accident.
_SHELL_SYNTAX = re.compile(r"[\s|&;<>()$`\"'{}]")
_JSON = re.compile(r'\s*(\{\s*"|\[\s*[{\]])')


def split_program(parser: Parser, words: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """Return the leading options of the command ``name``, and the words of the program; a ``--`` between is dropped.

    Raises ``UsageError`` when words behind the program can only have been meant for queuectl.
    """
    index = 0
    options: list[str] = []
    while index < len(words) and words[index].startswith("-") and words[index] not in ("-", "--"):
        size = _size(parser, words[index])
        # a name like "-0" would have argparse take every negative number for an option
        options += ["--null" if words[index] == "-0" else words[index], *words[index + 1 : index + size]]
        index += size
    program = list(words[index:])
    if program[:1] == ["--"]:
        return options, program[1:]
    if len(program) > 1:
        _check_order(parser, name, options, program)
    return options, program


def _size(parser: Parser, word: str) -> int:
    """Return how many words an option has: 2 for ``--name``, ``-p``, ``-qp``, whose value comes next; else 1."""
    known = parser.options
    if word in known:
        return 1 if known[word].nargs == 0 else 2
    if word.startswith("--"):
        return 1
    for index, letter in enumerate(word[1:], start=2):
        action = known.get(f"-{letter}")
        if action is None or action.nargs != 0:
            return 2 if action is not None and index == len(word) else 1
    return 1


def _is_option(parser: Parser, word: str) -> bool:
    """Return whether ``word`` is one of the parser's options, with or without a value in the same word."""
    known = parser.options
    return word == "-0" or word.partition("=")[0] in known or (not word.startswith("--") and word[:2] in known)


def _check_order(parser: Parser, name: str, options: list[str], program: list[str]) -> None:
    """Raise ``UsageError`` that shows the right order if words behind the program are options of queuectl."""
    ours, theirs = _ours_among(parser, program)
    if ours:
        import shlex

        start = ["queuectl", name, *options]
        right, verbatim = shlex.join([*start, *ours, "--", *theirs]), shlex.join([*start, "--", *program])
        raise UsageError(f"options go before the command: {right} (if {ours[0]} is the program's: {verbatim})")
    if _JSON.match(program[0]):
        raise UsageError(f"JSON is one word, and {program[1]!r} stands behind it; put all of it in single quotes")


def _ours_among(parser: Parser, program: list[str]) -> tuple[list[str], list[str]]:
    """Return the words behind the program that were meant for queuectl, and the other ones.

    Behind a line for the shell or JSON that is any option. Behind a plain program it is only ``--json`` or ``--db`` at
    the very end: in silence the one would lack its JSON, the other fill a queue it did not mean.
    """
    end = len(program)
    if _SHELL_SYNTAX.search(program[0]):
        index = 1
    else:
        index = end
        while index > 1 and (size := _shared_at_end(program[:index])):
            index -= size
        if "--" in program[:index]:
            index = end
    ours: list[str] = []
    theirs = program[:index]
    while index < end:
        is_ours = _is_option(parser, program[index])
        size = _size(parser, program[index]) if is_ours else 1
        (ours if is_ours else theirs).extend(program[index : index + size])
        index += size
    return ours, theirs


def _shared_at_end(words: list[str]) -> int:
    """Return how many words at the end are ``--json`` or ``--db ADDRESS``; 0 for none."""
    if words[-1] == "--json" or words[-1].startswith("--db="):
        return 1
    return 2 if len(words) > 2 and words[-2] == "--db" else 0
