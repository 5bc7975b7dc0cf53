"""The dashboard looks as it did: at three sizes, and when busy or empty at three more.

``pytest --snapshot-update`` takes new pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from queuectl_tui.keymap import ACTIONS
from tests.tui.fake_gateway import FakeGateway
from tests.tui.harness import ListeningApp, Stage
from tests.tui.moments import CALM, MOMENTS, OTHER_SIZES, SIZES

pytestmark = pytest.mark.long

PICTURED = [
    *((moment, size) for moment in MOMENTS for size in SIZES),
    *((moment, size) for moment in ("busy", "empty", "follow", "found") for size in OTHER_SIZES),
]


def _words(value: str | tuple[int, int]) -> str:
    return value if isinstance(value, str) else f"{value[0]}x{value[1]}"


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away what differs between machines and moments: zone, colour settings, a blinking cursor."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(Input, "cursor_blink", False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("moment", "size"), PICTURED, ids=_words)
def test_the_dashboard_looks_as_it_did(snap_compare: Callable[..., bool], moment: str, size: tuple[int, int]) -> None:
    gateway = FakeGateway(MOMENTS[moment].scene())
    app = ListeningApp(gateway, ACTIONS, CALM)
    app.animation_level = "none"

    async def reach(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await MOMENTS[moment].reach(Stage(app, gateway, pilot))

    assert snap_compare(app, terminal_size=size, run_before=reach)
