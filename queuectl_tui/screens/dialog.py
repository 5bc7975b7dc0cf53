"""What all dialogs look like: a bordered box in the middle that fits small terminals."""

from __future__ import annotations

#: For a screen of this class with one container of class ``dialog``; ``NAME`` is the screen's class name.
DIALOG_CSS = """
NAME {
    align: center middle;
    background: $background 60%;
}
NAME > .dialog {
    width: 76;
    max-width: 100%;
    height: auto;
    max-height: 100%;
    padding: 0 1;
    background: $surface;
    color: $foreground;
    border: round $primary;
    border-title-color: $primary;
    border-title-style: bold;
    border-subtitle-color: $text-muted;
    scrollbar-size-vertical: 1;
    scrollbar-background: $surface;
    scrollbar-background-hover: $surface;
    scrollbar-background-active: $surface;
}
"""


def dialog_css(name: str) -> str:
    """Return the style of a dialog for the screen class of this name."""
    return DIALOG_CSS.replace("NAME", name)
