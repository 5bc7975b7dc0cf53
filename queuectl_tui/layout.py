"""Decides which parts of the dashboard are shown and which one grows, for its size and for the focus.

The style sheet lays out by size. What depends on the focus must not be a class: a class restyles the whole
screen (30 ms); a height or a display set on a widget lays out and no more, and not even that when it stays the same.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from queuectl_tui.snapshot import Pane

#: From so many columns and rows on the screen has these classes.
WIDTHS = [(0, "-w0"), (80, "-w80"), (110, "-w110"), (160, "-w160")]
HEIGHTS = [(0, "-h0"), (20, "-h20"), (28, "-h28"), (48, "-h48")]
#: What may stand in the place of detail and output.
SIDE_LISTS = ("queues", "workers", "plan", "follow")
#: What a pane that does not have the focus keeps in the accordion: its title and two rows.
_SMALL = 3


def classes_for(columns: int, rows: int) -> tuple[str, str]:
    """Return the classes that the breakpoints give a screen of this size."""
    width = next(name for least, name in reversed(WIDTHS) if columns >= least)
    height = next(name for least, name in reversed(HEIGHTS) if rows >= least)
    return width, height


class Mode(Enum):
    """How the parts share the screen."""

    STRIP = "one pane at a time"
    ACCORDION = "four panes one over the other, the focused one grows"
    GRID = "two by two, detail and output below"
    WIDE = "two by two, detail and output at the right"


def mode_of(columns: int, rows: int) -> Mode:
    """Return the mode for a size of the screen; the style sheet says the same with the classes."""
    if columns < 80 or rows < 20:
        return Mode.STRIP
    if columns >= 160:
        return Mode.WIDE
    return Mode.GRID if columns >= 110 and rows >= 28 else Mode.ACCORDION


def has_chart(mode: Mode, rows: int) -> bool:
    """Return whether a screen of this mode and so many rows has room for the chart."""
    return mode in (Mode.GRID, Mode.WIDE) and rows >= 28


def has_headings(mode: Mode, rows: int) -> bool:
    """Return whether the lists can spare a row each for the headings of their columns."""
    return mode in (Mode.GRID, Mode.WIDE) and rows >= 48


class Arrangement(NamedTuple):
    """What is shown; heights are in rows or fractions, ``None`` leaves them to the style sheet."""

    panes: frozenset[Pane]
    is_side_shown: bool
    is_detail_shown: bool
    is_output_shown: bool
    growing: Pane | None = None
    side_list: str = ""
    panes_height: int | str | None = None
    small_height: int | None = None


def arranged(mode: Mode, current: Pane, context: str, *, side_list: str = "", is_zoomed: bool) -> Arrangement:
    """Return what is shown when the keys go to ``context``: ``lists``, ``output``, ``detail``, or a side list.

    ``side_list`` names what stands in the place of detail and output, one of ``SIDE_LISTS``, or "" for none.
    """
    is_aside, is_detail, is_job = context in ("output", "detail", *SIDE_LISTS), context == "detail", not side_list
    everything = frozenset(Pane)
    if is_zoomed or mode is Mode.STRIP:
        shown = frozenset() if is_aside else frozenset({current})
        is_output = is_aside and is_job and not is_detail
        return Arrangement(shown, is_aside, is_detail, is_output, current, side_list, "1fr", _SMALL)
    if mode is Mode.ACCORDION:
        is_output = is_job and not is_detail
        if is_aside:
            height = _SMALL * len(Pane)
            return Arrangement(everything, True, is_detail, is_output, None, side_list, height, _SMALL)
        return Arrangement(everything, True, False, is_job, current, side_list, "2fr", _SMALL)
    return Arrangement(everything, True, is_job, is_job, side_list=side_list)
