"""Cleaned text: any string that comes from a job, made inert, so that it cannot act on the terminal. Pure.

Cleaning is for display only; the database, JSON and raw output hold the bytes unchanged.

    escape sequences         dropped: CSI, OSC, DCS, APC, PM, SOS, single ESC x, and their one-character C1 forms; one
                             that is not terminated ends at the end of its line. SGR (colours) can be kept.
    newline                  ⏎ (``clean_line``), kept (``clean_lines``)
    tab                      spaces up to the next multiple of 8 columns
    other C0 controls, DEL   their pictures: ␀ ␇ ␛ ␡
    other C1 controls        U+FFFD, as lone surrogates
    direction controls       their code in angle brackets: <U+202E>
    invisible characters     dropped, except the joiners and variation selectors that scripts and emoji need
"""

from __future__ import annotations

import re

#: The mark for a line break in a text that is shown on one line.
NEWLINE_MARK = "⏎"
TAB_WIDTH = 8

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = "\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb\U000e0000-\U000e007f"
_BREAKS = "\u2028\u2029"
_SUSPECT = rf"\x00-\x1f\x7f-\x9f\ud800-\udfff{_BREAKS}{_DIRECTION}{_INVISIBLE}"

# Patterns as texts: ``re`` keeps what it has compiled, and a program that shows nothing unusual compiles none of them.
_NEEDS_CLEANING = f"[{_SUSPECT}]"
_LINES_NEED_CLEANING = rf"(?!\n)[{_SUSPECT}]"
#: Only digits and separators: ``ESC [ > 4 m`` and its kin set the keyboard, not a colour. Longer ones are nonsense.
_SGR = r"\x1b\[[0-9;:]{0,64}m"
_UNSAFE = rf"""(?x)
      (?P<sgr> {_SGR} )
    | (?P<escape>
          (?: \x1b\] | \x9d ) [^\x07\x18\x1a\x1b\x9c\n]* (?: \x07 | \x1b\\ | \x9c )?
        | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) [^\x18\x1a\x1b\x9c\n]* (?: \x1b\\ | \x9c )?
        | (?: \x1b\[ | \x9b ) [\x20-\x3f]* [\x40-\x7e]?
        | \x1b [\x20-\x2f]* [\x30-\x7e]
      )
    | \r\n
    | [\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff{_BREAKS}{_DIRECTION}{_INVISIBLE}]
"""
_ANY_DIRECTION = f"[{_DIRECTION}]"
_BROKEN = r"[\x80-\x9f\ud800-\udfff]"
_PICTURES = {
    **{chr(code): chr(0x2400 + code) for code in range(0x20)},
    "\x7f": "␡",
    **dict.fromkeys(("\n", "\r\n", "\x85", *_BREAKS), NEWLINE_MARK),
    "\x9c": "",
}


def clean_line(text: str, *, keep_colour: bool = False) -> str:
    """Return a text as one inert line, with its SGR sequences when ``keep_colour``; cleaning twice changes nothing."""
    if (text.isascii() and text.isprintable()) or re.search(_NEEDS_CLEANING, text) is None:
        return text
    cleaned = re.sub(_UNSAFE, _keep_colour if keep_colour else _replacement, text)
    return _expand_tabs(cleaned) if "\t" in cleaned else cleaned


def clean_lines(text: str, *, keep_colour: bool = False) -> str:
    """Return a text's lines, each inert and as carriage returns leave it; colours left on at the end are reset."""
    if re.search(_LINES_NEED_CLEANING, text) is None:
        return text
    cleaned = "\n".join(
        clean_line(collapse_carriage_returns(line), keep_colour=keep_colour) for line in text.split("\n")
    )
    if keep_colour and (codes := re.findall(_SGR, cleaned)) and codes[-1] not in ("\x1b[m", "\x1b[0m"):
        cleaned += "\x1b[0m"
    return cleaned


def collapse_carriage_returns(line: str) -> str:
    r"""Return what a line rewritten with ``\r`` shows in the end: the part after the last one that writes anything."""
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line


def _keep_colour(match: re.Match[str]) -> str:
    return match[0] if match.lastgroup == "sgr" else _replacement(match)


def _replacement(match: re.Match[str]) -> str:
    found = match[0]
    if match.lastgroup is not None:
        return ""
    if found in _PICTURES:
        return _PICTURES[found]
    if re.match(_ANY_DIRECTION, found):
        return f"<U+{ord(found):04X}>"
    return "\ufffd" if re.match(_BROKEN, found) else ""


def _expand_tabs(line: str) -> str:
    """Return a cleaned line with its tabs as spaces; columns are counted without the colours, wide characters as 2."""
    parts: list[str] = []
    column = 0
    for part in re.split(rf"(\t|{_SGR})", line):
        if part == "\t":
            width = TAB_WIDTH - column % TAB_WIDTH
            parts.append(" " * width)
            column += width
        else:
            parts.append(part)
            column += 0 if part.startswith("\x1b") else _columns(part)
    return "".join(parts)


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # not for the many lines that need neither

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def system_bytes(text: str) -> bytes:
    """Return a stored text as the bytes that a command gets: in UTF-8, whatever the worker's locale."""
    return text.encode("utf-8", "surrogateescape")
