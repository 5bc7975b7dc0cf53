"""Regular expressions that a user wrote: as Python reads them, and with an end, whatever they are looked for in.

Python's own ``re`` may need years for ``(a+)+$``, during which no other thread runs and no signal is answered. So it
only says which regexes are read; they are looked for by ``regex``, which stops at a time-out.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from typing import AnyStr, Generic, Protocol, cast

#: How long one search may take, in seconds of processor time.
LONGEST_S = 0.5
# Held while a regex is compiled: what Python warns of is set for the whole process.
_compiling = threading.Lock()
# an escape, a set, or a brace that begins no repetition: the last two say more to the engine than to Python
_PARTS = re.compile(r"\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?!(?:\d+(?:,\d*)?|,\d*)\})", re.DOTALL)
_IN_SET = re.compile(r"(?<!^)(?:\\.|\[)", re.DOTALL)


class Hit(Protocol):
    """Where a regex matched, as half-open range."""

    def start(self) -> int:
        """Return where it begins."""

    def end(self) -> int:
        """Return where it ends."""

    def span(self) -> tuple[int, int]:
        """Return both."""


class UserRegex(Generic[AnyStr]):
    """A user's regex, compiled; raises ``ValueError`` for one that cannot be.

    A search that needs longer than ``LONGEST_S`` raises ``TimeoutError``, and from then on each one does at once:
    ``is_too_slow`` stays true.
    """

    def __init__(self, regex: AnyStr, *, is_multiline: bool, is_ascii: bool) -> None:
        import regex as engine  # 30 ms, and few look for a regex

        flags = (engine.MULTILINE if is_multiline else 0) | (engine.ASCII if is_ascii else 0)
        try:
            self._compiled = engine.compile(_for_engine(regex), flags)
        except engine.error as error:
            raise ValueError(str(error)) from None
        self.is_too_slow = False

    def search(self, text: AnyStr, start: int = 0) -> Hit | None:
        """Return the first match from ``start`` on."""
        self._refuse_slow()
        try:
            return cast("Hit | None", self._compiled.search(text, start, timeout=LONGEST_S, concurrent=True))
        except TimeoutError:
            self.is_too_slow = True
            raise

    def finditer(self, text: AnyStr) -> Iterator[Hit]:
        """Yield each match."""
        self._refuse_slow()
        try:
            yield from self._compiled.finditer(text, timeout=LONGEST_S, concurrent=True)
        except TimeoutError:
            self.is_too_slow = True
            raise

    def _refuse_slow(self) -> None:
        if self.is_too_slow:
            raise TimeoutError


def _for_engine(regex: AnyStr) -> AnyStr:
    """Return a regex that means to the engine what this one means to Python.

    To the engine ``x{e}`` is an ``x`` that may be misspelt, and ``[[:alpha:]]`` any letter.
    """
    if isinstance(regex, str):
        return _PARTS.sub(_part_for_engine, regex)
    return _for_engine(regex.decode("latin-1")).encode("latin-1")


def _part_for_engine(part: re.Match[str]) -> str:
    text = part[0]
    if text[0] == "[":
        return _IN_SET.sub(lambda one: "\\[" if one[0] == "[" else one[0], text)
    return "\\{" if text == "{" else text


def read_regex(regex: AnyStr, *, is_multiline: bool = False, is_ascii: bool = False) -> UserRegex[AnyStr]:
    """Return a user's regex, compiled; raise ``ValueError`` with the reason for one that cannot be read.

    With ``is_multiline`` ``^`` and ``$`` are at each line, with ``is_ascii`` a word is one of ASCII's characters alone.
    One that Python warns of is read as it stands: in ``[[a]`` the second bracket is a character of the set.
    """
    flags = (re.MULTILINE if is_multiline else 0) | (re.ASCII if is_ascii else 0)
    try:
        with _compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(regex, flags)
            return UserRegex(regex, is_multiline=is_multiline, is_ascii=is_ascii)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
