"""Which line of a failed command's output says why it failed, and which failures are the same. Pure.

last_words     the line, cleaned for eyes
masked         the line without what differs from one run to the next
fingerprint    64 bits from outcome, exit code or signal and the masked line: the same fault, the same number
"""

from __future__ import annotations

import re
from hashlib import blake2b

from core.model import Ending, Outcome
from core.text import clean_line, collapse_carriage_returns

#: How much of the end of an output is looked at, in bytes, and how many of its lines.
TAIL_BYTES = 4 << 10
_LINES = 40
#: How much of a line is looked at, in characters: the patterns take time that grows with its square.
_LONGEST = 500
#: The longest line that is kept, in characters.
MAX_LENGTH = 200

_TRACEBACK = "Traceback (most recent call last):"
#: Lines that name an error in a way that programs of many kinds share.
_ERROR = re.compile(
    r"""
      (?: Uncaught\ | Unhandled\ | Caused\ by:\ )?
          [\w.$\\]* (?: Error | Exception | Panic | Interrupt ) \b (?: :\ | $ )         # ValueError: x
    | Exception\ in\ thread\b | Caused\ by:
    | panic: | thread\ '.*'\ panicked\ at\b
    | (?: \S+ :\ )? (?: fatal | FATAL | error | Error | ERROR | E | ERR! ) (?: \[\w+\] )? :\ \S   # git, apt, cargo
    | \S+ : \d+ (?: :\d+ )? :\ (?: fatal\ )? error:                                       # cc
    | npm\ (?: ERR! | error )\ \S
    | .* :\ (?: command\ )? not\ found $
    | .* :\ (?: No\ such\ file\ or\ directory | Permission\ denied ) \b
    | .* :\ (?: Connection\ refused | No\ space\ left\ on\ device ) \b
    | \S+ :\ \(\d+\)\ \S                                                                # curl
    | (?: .*\b )? Segmentation\ fault\b | Killed $ | Aborted \b
    """,
    re.VERBOSE,
)
#: Lines that say nothing of why: frames of a stack, what a wrapper adds, where the log is.
_NOISE = re.compile(
    r"""
      (?: at | in ) \ \S+ .* (?: \( .* \) | :\d+ ) $
    | \.\.\. \ \d+ \ more $
    | (?: note | hint | help ) :
    | make (?: \[\d+\] )? : \ \*\*\* | make (?: \[\d+\] )? : \ (?: Leaving | Entering )
    | exit\ status\ \d+ $ | goroutine\ \d+ | Node\.js\ v\d | npm\ (?: ERR! | error )\ (?: A\ complete\ log | \s* / )
    """,
    re.VERBOSE,
)
_PROGRESS = re.compile(
    r"""
      .* \d{1,3} (?: \.\d+ )? \s? % .* [\#=>█▏▎▍▌▋▊▉━─*.|-]{3,}
    | .* [\#=>█▏▎▍▌▋▊▉━*-]{3,} .* \d{1,3} (?: \.\d+ )? \s? %
    | \d{1,3} (?: \.\d+ )? \s? % (?: \s .* )? $
    | .* \b ETA \b .* \d
    | frame= \s* \d+ \s .* time=
    """,
    re.VERBOSE,
)
_PROMPT = re.compile(r"[\w@~:/.\[\]() -]{0,60}[$#>%?:]$")
_HAS_WORD = re.compile(r"[^\W_]")


def last_words(tail: bytes) -> str | None:
    """Return the line that says why a command ended, from the end of its output; ``None`` if no line says anything.

    ``tail`` is the last ``TAIL_BYTES`` of it or less. First choice is the exception of the last Python traceback, then
    the last line that names an error, then the last line that is no progress bar, prompt or stack frame, then the last
    with a letter or digit. The line is inert and at most ``MAX_LENGTH`` characters long.
    """
    if not tail:
        return None
    lines = _lines(tail[-TAIL_BYTES:])
    for choose in (_exception, _named_error, _plain):
        if (line := choose(lines)) is not None:
            return _cut(line.strip())
    return _cut(lines[-1].strip()) if lines else None


def _lines(tail: bytes) -> list[str]:
    """Return the last lines with a letter or digit, in their last state, clean, their indents kept."""
    found = []
    for line in reversed(tail.decode("utf-8", "replace").split("\n")):
        shown = clean_line(collapse_carriage_returns(line))[:_LONGEST].rstrip()
        if _HAS_WORD.search(shown):
            found.append(shown)
            if len(found) == _LINES:
                break
    return found[::-1]


def _exception(lines: list[str]) -> str | None:
    """Return the line that ends the last Python traceback: the first behind it without an indent."""
    for start in range(len(lines) - 1, -1, -1):
        if lines[start].endswith(_TRACEBACK):
            indent = len(lines[start]) - len(lines[start].lstrip(" +|"))
            behind = (line[indent:] for line in lines[start + 1 :])
            return next((line for line in behind if line and not line.startswith((" ", "\t"))), None)
    return None


def _named_error(lines: list[str]) -> str | None:
    return next((line for line in reversed(lines) if _ERROR.match(line.lstrip()) and not _is_silent(line)), None)


def _plain(lines: list[str]) -> str | None:
    return next((line for line in reversed(lines) if not _is_silent(line)), None)


def _is_silent(line: str) -> bool:
    """Return whether a line is one of those that are printed whatever the reason was."""
    text = line.strip()
    return any(pattern.match(text) for pattern in (_NOISE, _PROGRESS, _PROMPT))


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


#: What differs between two runs that fail alike, in the order in which it is taken out.
_MASKS = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"""(["`'‘“«])(?:(?<!\w['’])).{1,}?(?:["`'’”»])(?!\w)""", "<text>"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<uuid>"),
        (r"\b[a-z][a-z0-9+.-]*://[^\s,;)\]]+", "<url>"),
        (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "<address>"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", "<time>"),
        (r"(?<=\w\.\w)(\w*):\d+(?::\d+)?\b", r"\1:<n>"),
        (r"\b\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?\b", "<time>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<address>"),
        (r"\[?\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b\]?(?::\d+)?", "<address>"),
        (
            r"\[?(?:\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6}\b)?\]?",
            "<address>",
        ),
        (r"(?<![\w<])(?:~|\.{1,2})?(?:/[^\s/:,;()\[\]]+)+/?", "<path>"),
        (r"\b[\w.-]+(?:/[\w.-]+)+\b", "<path>"),
        (r"\b0[xX][0-9a-fA-F]+\b", "<hex>"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", "<hex>"),
        (r"(?<![A-Za-z\d])[-+]?\d+(?:[.,]\d+)*", "<n>"),
        (r"\d+", "<n>"),
        (r"\s+", " "),
    )
)


def masked(line: str) -> str:
    """Return a line with quoted text, numbers, hex, UUIDs, paths, URLs, times and addresses replaced by their kind."""
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line


def fingerprint(outcome: str, exit_code: int | None, signal: int | None, words: str | None) -> int:
    """Return the fingerprint of a failure, a signed 64-bit number: BLAKE2b of its outcome, code and masked last words.

    ``signal`` counts before ``exit_code``, which is 128 + signal then. A code in the words does not matter twice.
    """
    # not the words of core.wording: these stay for as long as fingerprints are stored
    code = f"signal {signal}" if signal is not None else f"exit {exit_code}"
    said = "" if words is None else masked(words)
    digest = blake2b("\n".join((outcome, code, said)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def with_last_words(ending: Ending, tail: bytes) -> Ending:
    """Return an ending with the last words in the ``tail`` of its output, and with its fingerprint unless it succeeded.

    For an ending without last words its ``error``, the worker's own words, goes into the fingerprint.
    """
    line = last_words(tail)
    if ending.outcome is Outcome.SUCCEEDED:
        return ending._replace(last_line=line)
    words = ending.error if line is None else line
    return ending._replace(
        last_line=line, fingerprint=fingerprint(ending.outcome.value, ending.exit_code, ending.signal, words)
    )
