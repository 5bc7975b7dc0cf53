"""Every theme that is offered draws the dashboard, and says the same things apart."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.theme import Theme

from core.errors import UsageError
from queuectl_tui.themes import OWN_THEMES, check_name, has_terminal_colours, own_variables
from tests.tui.harness import staged
from tests.tui.scene import busy_snapshot

pytestmark = pytest.mark.long

_PLAIN = [name for name, theme in App().available_themes.items() if not has_terminal_colours(theme)]
#: ansi-dark and ansi-light; one of another name before Textual 8.2.5.
_OF_TERMINAL = sorted(App().available_themes.keys() - _PLAIN)


def _contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted(_luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return sum(part * weight for part, weight in zip(parts, (0.2126, 0.7152, 0.0722), strict=True))


async def test_every_theme_can_be_chosen() -> None:
    async with staged(busy_snapshot()) as stage:
        names = list(stage.app.available_themes)
        assert {theme.name for theme in OWN_THEMES} < set(names)
        assert {"nord", "textual-light", *_OF_TERMINAL} < set(names)
        assert _OF_TERMINAL
        for name in names:
            stage.app.theme = name
            await stage.pilot.pause()
            table = stage.dashboard.table
            looks = [str(table._colours(part, "")) for part in ("pending", "running", "dead", "muted", "cursor")]
            assert len(set(looks)) >= 4, (name, looks)


@pytest.mark.parametrize("name", ["nord", "textual-light", *_OF_TERMINAL, "queuectl-contrast"])
async def test_a_start_in_a_theme(name: str) -> None:
    async with staged(busy_snapshot(), theme=name) as stage:
        assert stage.app.theme == name
        assert stage.dashboard.table.size.height > 0


@pytest.mark.parametrize("name", ["nord", "textual-light", _OF_TERMINAL[-1], None])
async def test_the_style_sheet_is_read_once_and_again_for_another_theme(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole is read a second time for the theme it started with, unless somebody keeps Textual from it."""
    times, read_again = [], Stylesheet.reparse

    def counted(sheet: Stylesheet) -> None:
        times.append(sheet)
        read_again(sheet)

    monkeypatch.setattr(Stylesheet, "reparse", counted)
    async with staged(busy_snapshot(), theme=name) as stage:
        assert times == []
        await stage.be_whole()
        picture = stage.app.export_screenshot()
        stage.app.refresh_css()
        await stage.pilot.pause()
        assert len(times) == 1
        assert stage.app.export_screenshot() == picture
        stage.app.theme = "dracula"
        await stage.pilot.pause()
        assert len(times) == 2
        assert stage.app.export_screenshot() != picture


@pytest.mark.parametrize("name", _PLAIN)
def test_what_is_made_up_for_a_theme_can_be_read(name: str) -> None:
    theme = App().available_themes[name]
    made = {name: Color.parse(value) for name, value in own_variables(theme).items()}
    system = theme.to_color_system().generate()
    background, foreground = Color.parse(system["background"]), Color.parse(system["foreground"])
    full = _contrast(foreground, background)
    # as much as the theme's own words leave room for: solarized has little contrast on purpose
    assert _contrast(made["muted"], background) >= min(3.0, full * 0.55)
    assert _contrast(foreground, made["cursor"]) >= min(3.0, full * 0.55)
    assert made["cursor"] != background != made["cursor-blurred"]


def test_a_theme_that_is_none_is_refused_by_name() -> None:
    check_name("nord")
    with pytest.raises(UsageError, match=r"no theme 'nrod'; one of .*nord"):
        check_name("nrod")


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_all_that_is_said_in_a_list_reads_on_each_of_its_rows(theme: Theme) -> None:
    """Also under the cursor, in a list with the focus and without; 4.5 is what WCAG 2 asks of text."""
    said = {name: getattr(theme, name) for name in ("foreground", "error", "warning", "success", "accent", "primary")}
    said["muted"] = theme.variables["muted"]
    rows = {name: theme.variables[name] for name in ("cursor", "cursor-blurred")}
    rows |= {name: getattr(theme, name) for name in ("background", "surface", "panel")}
    pairs = {(text, row): _contrast(Color.parse(said[text]), Color.parse(rows[row])) for text in said for row in rows}
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < 4.5} == {}
