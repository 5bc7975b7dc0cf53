"""How far a running command has come by its own words, and how long such a command usually runs. Pure.

last_progress    the last ``45%``, ``3/17`` or ``3 of 17`` in the end of an output
masked_command   a command without what differs from one run to the next: numbers and paths among its arguments
usual_s          the median of the newest runs of the same command
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from core.text import clean_line

#: How much of the end of an output is looked at, in bytes.
TAIL_BYTES = 2 << 10
#: How much of a command is looked at, in characters.
COMMAND_CHARACTERS = 1000
#: The median is that of so many runs, the newest; of fewer than the least nothing is said.
MOST_RUNS = 20
LEAST_RUNS = 3


class ReportedProgress(NamedTuple):
    """How far a command says it has come: ``share`` from 0 to 1, and its own ``words``, as ``45%`` or ``3/17``."""

    share: float
    words: str


_NUMBER = r"(?: \d{1,3} (?: ,\d{3} )+ | \d{1,12} (?: \.\d{1,6} )? )"
_UNIT = r"(?: [kKMGT]i?B | bytes )"
_PROGRESS = re.compile(
    rf"""
      (?<! [\w.,/-] ) (?P<percent> \d{{1,3}} (?: \.\d{{1,6}} )? ) \ ?% (?! [\w%] )
    | (?<! [\w.,/-] ) (?<! attempt\  ) (?<! Attempt\  ) (?<! try\  )
      (?P<done> {_NUMBER} ) (?: \ ? (?P<unit> {_UNIT} ) )? (?: \ ?/\ ? | \ of\  )
      (?P<total> {_NUMBER} ) (?(unit) \ ?(?P=unit) | (?: \ ?{_UNIT} )? )
      (?! [\w/-] | [.,:]\d | \ \d\d:\d\d )                       # 11/28/2026, 01/02 10:30, 3/17.5.1
    """,
    re.VERBOSE,
)


def last_progress(tail: bytes) -> ReportedProgress | None:
    """Return the last progress in the end of an output, ``None`` if there is none.

    ``tail`` is the last ``TAIL_BYTES`` of the output or less; the word that a full one begins within is left out.
    """
    text = tail[-TAIL_BYTES:].decode("utf-8", "replace")
    if len(tail) >= TAIL_BYTES:
        text = re.sub(r"^\S*", "", text)
    for line in reversed(re.split("[\r\n]+", text)):
        told = [found for match in _PROGRESS.finditer(clean_line(line)) if (found := _progress_of(match))]
        if told:
            return told[-1]
    return None


def _progress_of(match: re.Match[str]) -> ReportedProgress | None:
    """Return what a match says, ``None`` for one that says more than all, or parts of nothing."""
    if (percent := match["percent"]) is not None:
        share = float(percent) / 100
        return ReportedProgress(share, f"{percent}%") if share <= 1 else None
    done, total = float(match["done"].replace(",", "")), float(match["total"].replace(",", ""))
    unit = f" {match['unit']}" if match["unit"] else ""
    return (
        ReportedProgress(done / total, f"{match['done']}/{match['total']}{unit}")
        if done <= total and total > 0
        else None
    )


_SEPARATOR = re.compile(r"(\s+|&&|\|\||[;|&])")
_ASSIGNMENT = re.compile(r"\w+=")
#: Programs that run the program, or the script, that their next argument names.
_RUNS_ANOTHER = re.compile(
    r"""
    (?: .*/ )?
    (?: sudo | doas | nice | ionice | nohup | env | exec | time | timeout | command | stdbuf
      | (?: ba | z | da | k | fi )? sh | python | pypy | node | deno | bun | ruby | perl | php | lua | julia | Rscript
    ) [\d.]* $
    """,
    re.VERBOSE,
)
#: How much of a word is looked at, in characters: the patterns need time that grows with its square.
_LONGEST_WORD = 100
_AMOUNT = re.compile(r"[-+]?\d[\d.]*\w?$")
_MASKS = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<n>"),
        (r"\b[a-z][a-z0-9+.-]*://[^\s\"']+", "<path>"),
        (r"[^\s\"'=<>()]*/[^\s\"'<>()]*", "<path>"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", "<n>"),
        (r"(?<![\w<.-])[\w.+@%-]*\w\.[A-Za-z][A-Za-z0-9]{1,4}(?![\w.])", "<path>"),  # a file of this directory
        (r"\d+(?:[.,:-]\d+)*", "<n>"),
    )
)


@lru_cache(maxsize=4096)
def masked_command(command: str) -> str:
    """Return a command with numbers, hex, paths, file names and URLs among its arguments replaced by their kind.

    What is run stays: the program of each part of a pipe or list, and the script behind an interpreter. Only the first
    ``COMMAND_CHARACTERS`` count; commands that are alike but for the masked are runs of the same.
    """
    is_program_next = True
    parts = []
    for word in _SEPARATOR.split(command[:COMMAND_CHARACTERS].strip()):
        if not word or word.isspace():
            parts.append(" " if word else "")
        elif _SEPARATOR.fullmatch(word):
            parts.append(word)
            is_program_next = True
        elif is_program_next and not (word.startswith("-") or _ASSIGNMENT.match(word) or _AMOUNT.match(word)):
            parts.append(word)
            is_program_next = _RUNS_ANOTHER.match(word) is not None
        else:
            parts.append(_masked(word))
    return "".join(parts)


def _masked(word: str) -> str:
    word = word[:_LONGEST_WORD]
    for pattern, mask in _MASKS:
        word = pattern.sub(mask, word)
    return word


def usual_s(runs_s: Sequence[float]) -> float | None:
    """Return the median of the last ``MOST_RUNS`` durations in seconds, ``None`` for fewer than ``LEAST_RUNS``."""
    if len(runs_s) < LEAST_RUNS:
        return None
    newest = sorted(runs_s[-MOST_RUNS:])
    middle = len(newest) // 2
    return (newest[middle] + newest[-1 - middle]) / 2
