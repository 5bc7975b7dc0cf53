"""The dashboard's own colour themes; Textual's stand beside them. Data only."""

from __future__ import annotations

from textual.theme import Theme

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
        "muted": "#8593a3",
        "faint": "#56646f",
        "cursor": "#24394d",
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
        "muted": "#566473",
        "faint": "#8894a1",
        "cursor": "#cfe2f7",
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
    error="#ff5f5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    luminosity_spread=0.2,
    text_alpha=1.0,
    variables={
        "muted": "#d0d0d0",
        "faint": "#a8a8a8",
        "cursor": "#005fd7",
        "cursor-blurred": "#303030",
        "border": "#ffffff",
        "footer-key-foreground": "#ffff00",
    },
)

OWN_THEMES: tuple[Theme, ...] = (DARK, LIGHT, CONTRAST)
DEFAULT_THEME = DARK.name

#: What the style sheet's own variables are in a theme that does not name them.
FALLBACK_VARIABLES = {
    "muted": "$text-muted",
    "faint": "$text-disabled",
    "cursor": "$primary 30%",
    "cursor-blurred": "$panel",
}
