"""The dashboard's own colour themes; Textual's stand beside them. Data, and how to fill gaps in it."""

from __future__ import annotations

from collections.abc import Mapping

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from core.errors import UsageError

DARK = Theme(
    name="queuectl-dark",
    primary="#6cb6ff",
    secondary="#8fa3bf",
    accent="#4fd1d9",
    success="#7ee08a",
    warning="#f0c66a",
    error="#ff7b72",
    foreground="#d7dde5",
    background="#0e1318",
    surface="#141a21",
    panel="#1d2630",
    dark=True,
    variables={
        "muted": "#90a0b2",
        "text-muted": "#90a0b2",
        "cursor": "#213548",
        "cursor-blurred": "#1a232d",
        "border": "#3a4753",
        "footer-key-foreground": "#6cb6ff",
        "input-selection-background": "#6cb6ff 35%",
    },
)

LIGHT = Theme(
    name="queuectl-light",
    primary="#0a58b5",
    secondary="#4a5a6c",
    accent="#00707c",
    success="#1c7333",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#1b232c",
    background="#fbfcfd",
    surface="#f2f4f7",
    panel="#e3e8ee",
    dark=False,
    variables={
        "muted": "#505d6b",
        "text-muted": "#505d6b",
        "cursor": "#d4e5f8",
        "cursor-blurred": "#e7edf3",
        "border": "#b6c0ca",
        "footer-key-foreground": "#0a58b5",
        "input-selection-background": "#0a58b5 25%",
    },
)

CONTRAST = Theme(
    name="queuectl-contrast",
    primary="#ffff00",
    secondary="#ffffff",
    accent="#00ffff",
    success="#00ff5f",
    warning="#ffd700",
    error="#ff8080",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    luminosity_spread=0.2,
    text_alpha=1.0,
    variables={
        "muted": "#d0d0d0",
        "text-muted": "#d0d0d0",
        "cursor": "#003090",
        "cursor-blurred": "#2c2c2c",
        "border": "#ffffff",
        "footer-key-foreground": "#ffff00",
    },
)

OWN_THEMES: tuple[Theme, ...] = (DARK, LIGHT, CONTRAST)
DEFAULT_THEME = DARK.name

# What Textual's themes lack that take the terminal's sixteen colours, which cannot be blended.
_ANSI_DARK = {
    "muted": "ansi_white",
    "cursor": "ansi_blue",
    "cursor-blurred": "ansi_black",
    "border": "ansi_bright_black",
}
_ANSI_LIGHT = {"muted": "ansi_black", "cursor": "ansi_cyan", "cursor-blurred": "ansi_white", "border": "ansi_white"}


_OURS = frozenset(_ANSI_DARK)


def has_terminal_colours(theme: Theme) -> bool:
    """Return whether a theme has the terminal's sixteen colours; ``Theme.ansi`` came with Textual 8.2.5 only."""
    return theme.primary.startswith("ansi_")


def own_variables(theme: Theme) -> Mapping[str, str]:
    """Return the style sheet's own variables for a theme: its own, else what its colours make of them."""
    if theme.variables.keys() >= _OURS:
        return {name: theme.variables[name] for name in _OURS}
    if has_terminal_colours(theme):
        made = _ANSI_DARK if theme.dark else _ANSI_LIGHT
    else:
        system = theme.to_color_system().generate()
        foreground, background = Color.parse(system["foreground"]), Color.parse(system["background"])
        made = {
            "muted": foreground.blend(background, 0.3).hex,
            "cursor": background.blend(Color.parse(system["primary"]), 0.3).hex,
            "cursor-blurred": background.blend(foreground, 0.1).hex,
            "border": foreground.blend(background, 0.75).hex,
        }
    return {**made, **{name: theme.variables[name] for name in _OURS & theme.variables.keys()}}


def check_name(name: str) -> None:
    """Raise ``UsageError`` when there is no such theme."""
    names = sorted([*(theme.name for theme in OWN_THEMES), *BUILTIN_THEMES])
    if name not in names:
        raise UsageError(f"no theme {name!r}; one of {', '.join(names)}")
