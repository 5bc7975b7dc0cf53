"""What ``output:`` looks for in the bytes of an output: a text in which case does not matter, or a regex. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from core.errors import UsageError
from core.regexes import read_regex

#: Returns whether some bytes of an output match.
Matcher = Callable[[bytes], bool]


def is_regex(pattern: str) -> bool:
    """Return whether a pattern stands between slashes, as in ``/ENO(SPC|ENT)/``."""
    return len(pattern) > 2 and pattern[0] == pattern[-1] == "/"


@lru_cache(maxsize=64)
def matcher_of(pattern: str) -> Matcher:
    """Return what matches the bytes that a pattern is in; raise ``UsageError`` for a regex that cannot be read.

    It raises ``UsageError`` for a regex that needs longer than ``regexes.LONGEST_S`` for some bytes, and then for any.
    Of a text the case of ASCII letters does not matter. In a regex case matters, and ``^`` and ``$`` are at each line.
    """
    if is_regex(pattern):
        try:
            search = read_regex(_encoded(pattern[1:-1]), is_multiline=True).search
        except ValueError as error:
            raise UsageError(f"output:{pattern} is no regular expression: {error}") from None
        return partial(_is_found, search, pattern)
    needle = _encoded(pattern).lower()
    # to lower and then look is four times as fast as a regex that ignores case
    return lambda data: needle in data.lower()


def _is_found(search: Callable[[bytes], object], pattern: str, data: bytes) -> bool:
    try:
        return search(data) is not None
    except TimeoutError:
        raise UsageError(
            f"output:{pattern} takes too long to look for: repeat nothing in it that is repeated within, as in (a+)+"
        ) from None


def reach_of(pattern: str) -> int:
    """Return how many bytes before the end of a block a match may begin that ends behind it, at most."""
    return _REGEX_REACH if is_regex(pattern) else len(_encoded(pattern)) - 1


#: A match of a regex across two blocks is found as long as it is no longer than this, in bytes.
_REGEX_REACH = 64 * 1024


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
