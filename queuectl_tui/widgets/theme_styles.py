"""The colours of the theme in force as Rich styles, worked out once: asking the style sheet each time is slow."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.app import App
from textual.color import Color

from queuectl_tui.themes import own_variables

#: Style name -> (colour, background, bold). Colours are names of ``colours_of``; "" is the widget's own.
_STYLES: Mapping[str, tuple[str, str, bool]] = {
    "strong": ("foreground", "", True),
    "muted": ("muted", "", False),
    "fill": ("border", "", False),
    "good": ("success", "", False),
    "warning": ("warning", "", False),
    "bad": ("error", "", True),
    "accent": ("accent", "", False),
    "key": ("primary", "", True),
    "bright": ("primary", "", False),
    "dim": ("muted", "", True),
    "told": ("foreground", "", False),
    "alarm": ("background", "error", True),
}
_cache: dict[tuple[str, bool], Mapping[str, Style]] = {}


def colours_of(app: App[object]) -> dict[str, str]:
    """Return the colours that this dashboard draws with, also for themes that do not name all of them."""
    system = app.get_css_variables()
    colours = {name: system[name] for name in ("primary", "accent", "success", "warning", "error", "foreground")}
    colours["background"] = system["background"]
    own = own_variables(app.current_theme)
    colours.update({name: own[name] for name in ("muted", "border")})
    return colours


def styles_of(app: App[object]) -> Mapping[str, Style]:
    """Return the styles by name for the theme in force."""
    theme = app.current_theme
    key = (theme.name, theme.dark)
    if key not in _cache:
        colours = {name: Color.parse(value).rich_color for name, value in colours_of(app).items()}
        _cache[key] = {
            name: Style(color=colours[front], bgcolor=colours.get(back), bold=is_bold or None)
            for name, (front, back, is_bold) in _STYLES.items()
        }
    return _cache[key]
