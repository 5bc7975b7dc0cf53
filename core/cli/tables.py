"""Print tables: drawn by rich on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from core.cli.context import Session
from core.text import clean_line

#: The colour of each state and phase.
COLOURS = {
    "pending": "cyan",
    "ready": "cyan",
    "delayed": "blue",
    "retrying": "yellow",
    "blocked": "blue",
    "held": "yellow",
    "running": "green",
    "unwatched": "yellow",
    "ended": "yellow",
    "completed": "dim",
    "dead": "red",
    "cancelled": "magenta",
    "purged": "dim",
}
#: The most cells of a terminal for a column that is not the wide one.
_WIDEST = 32
#: The fewest cells for the wide column, if its texts are that long.
_NARROWEST = 12


class Cell:
    """A text in a colour."""

    __slots__ = ("colour", "text")

    def __init__(self, text: str, colour: str = "") -> None:
        self.text = text
        self.colour = colour


class Column:
    """A column: its title, whether its numbers stand at the right, whether it gets the room that is left."""

    __slots__ = ("is_right", "is_wide", "title")

    def __init__(self, title: str, *, is_right: bool = False, is_wide: bool = False) -> None:
        self.title = title
        self.is_right = is_right
        self.is_wide = is_wide


def show_table(
    session: Session, columns: Sequence[Column], rows: Sequence[Sequence[object]], *, has_header: bool = True
) -> None:
    """Print a table; every text in it is made inert first."""
    cells = [[_cell(value) for value in row] for row in rows]
    if session.is_terminal:
        _draw(session, columns, cells, has_header)
    else:
        _write(session, columns, cells, has_header)


def show_pairs(session: Session, pairs: Sequence[tuple[str, object]]) -> None:
    """Print labels and values below each other; a value of ``None`` leaves its line out."""
    shown = [(label, _cell(value)) for label, value in pairs if value is not None]
    width = max((len(label) for label, _ in shown), default=0)
    for label, cell in shown:
        text = session.style(cell.text, cell.colour) if cell.colour else cell.text
        session.say(f"{session.style(f'{label:{width}}', 'dim')}  {text}")


def _cell(value: object) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, Cell):
        return Cell(clean_line(value.text), value.colour)
    return Cell(f"{value:,}" if isinstance(value, int) else clean_line(str(value)))


def _write(session: Session, columns: Sequence[Column], cells: list[list[Cell]], has_header: bool) -> None:
    """Write aligned columns with two spaces between; the last one is as long as it is."""
    header = [[Cell(column.title.upper(), "bold") for column in columns]] if has_header else []
    widths = [max((len(row[index].text) for row in [*header, *cells]), default=0) for index in range(len(columns))]
    for row in [*header, *cells]:
        parts = []
        for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
            is_last = index == len(columns) - 1
            padded = (
                cell.text.rjust(widths[index])
                if column.is_right
                else cell.text
                if is_last
                else cell.text.ljust(widths[index])
            )
            parts.append(session.style(padded, cell.colour) if cell.colour else padded)
        session.say("  ".join(parts).rstrip())


def _draw(session: Session, columns: Sequence[Column], cells: list[list[Cell]], has_header: bool) -> None:
    """Draw with rich: every column as wide as its texts, the wide one as wide as the terminal leaves it."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(color_system="auto" if session.has_colour else None, highlight=False)
    titles = [column.title.upper() for column in columns]
    widths = [max([cell_len(titles[at]), *(cell_len(row[at].text) for row in cells)]) for at in range(len(columns))]
    widths = [width if column.is_wide else min(width, _WIDEST) for width, column in zip(widths, columns, strict=True)]
    # rich would shrink all columns alike
    excess = sum(widths) + 2 * (len(widths) - 1) - console.width
    table = Table(box=None, show_header=has_header, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title, width, column in zip(titles, widths, columns, strict=True):
        shown = max(_NARROWEST, width - excess) if column.is_wide and excess > 0 else width
        excess -= width - shown
        table.add_column(
            title, justify="right" if column.is_right else "left", no_wrap=True, overflow="ellipsis", width=shown
        )
    for row in cells:
        table.add_row(*(Text(cell.text, style=cell.colour) for cell in row))
    console.width += max(0, excess)
    console.print(table, crop=False)
