"""Turn one line of output into styled, inert text, and fold it to a width. Pure."""

from __future__ import annotations

from rich.cells import cell_len, split_graphemes
from rich.style import Style
from rich.text import Text

from core.text import clean_line, collapse_carriage_returns
from core.wording import size
from queuectl_tui.cells import flat
from queuectl_tui.line_index import Line

#: A job may colour its output, but neither hide a part of it nor make it blink.
_NEVER = Style(conceal=False, blink=False, blink2=False)


def shown_text(line: Line, mark: Style) -> Text:
    """Return a line as it is shown, with its own colours; ``mark`` is the style of what says it was clipped."""
    raw = collapse_carriage_returns(line.data.decode("utf-8", "replace"))
    cleaned = flat(clean_line(raw, keep_colour=True))
    text = _coloured(cleaned) if "\x1b" in cleaned else Text(cleaned)
    if text.spans:
        text.stylize(_NEVER)
    if line.clipped_bytes:
        text.append(f" … {size(line.clipped_bytes)} more in this line", mark)
    return text


def plain_text(line: Line) -> str:
    """Return a line as a user reads it, without colours."""
    return shown_text(line, Style.null()).plain


def _coloured(line: str) -> Text:
    from rich.ansi import AnsiDecoder  # here, because the first picture can do without it

    return AnsiDecoder().decode_line(line)


def word_rows(plain: str, width: int) -> list[str]:
    """Return a text cut into rows of at most ``width`` cells, at a space, which goes, or in a word that is longer."""
    rows: list[str] = []
    while points := fold_points(plain[: width * 4 + 1], width):
        cut = points[0]
        before, space, _ = plain[: cut + 1].rpartition(" ")
        word = plain[len(before) + len(space) :].partition(" ")[0]
        if before.strip() and not fold_points(word, width):
            rows.append(before)
            plain = plain[len(before) + 1 :]
        else:
            rows.append(plain[:cut])
            plain = plain[cut:]
    return [*rows, plain]


def fold_points(plain: str, width: int) -> list[int]:
    """Return the character indices at which a text is cut into rows of at most ``width`` cells."""
    total = cell_len(plain)
    if total <= width:
        return []
    if total == len(plain) and plain.isascii():
        return list(range(width, total, width))
    points: list[int] = []
    used = 0
    for start, _, cells in split_graphemes(plain)[0]:
        if used + cells > width and start:
            points.append(start)
            used = 0
        used += cells
    return points
