"""Draw the pictures in ``screenshots/`` from the scenes that the tests use: SVG, and PNG where rsvg-convert is there.

python -m tests.tui.make_screenshots [DIRECTORY]
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from textual.widgets import Input

from queuectl_tui.keymap import ACTIONS
from queuectl_tui.themes import OWN_THEMES
from tests.tui.fake_gateway import FakeGateway
from tests.tui.harness import ListeningApp, Stage
from tests.tui.moments import CALM as PREFERENCES
from tests.tui.moments import PICTURES, SIZES, Moment

PNG_WIDTH = "1200"
DIRECTORY = Path(__file__).resolve().parents[2] / "screenshots"


async def picture(moment: Moment, size: tuple[int, int], theme: str | None = None) -> str:
    """Return a moment as SVG."""
    gateway = FakeGateway(moment.scene())
    app = ListeningApp(gateway, ACTIONS, PREFERENCES, theme=theme)
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await moment.reach(Stage(app, gateway, pilot))
        return app.export_screenshot(title=f"queuectl-tui {size[0]}x{size[1]}")


def local(svg: str) -> str:
    """Return an SVG that needs no font from the web and whose cells are exactly as wide as its font's characters."""
    return (
        svg.replace('<svg class="rich-terminal"', '<svg class="rich-terminal" xml:space="preserve"')
        .replace("Fira Code", "DejaVu Sans Mono")
        .replace("font-size: 20px", "font-size: 20.26px")
    )


def main() -> None:
    """Draw all pictures."""
    os.environ.pop("NO_COLOR", None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    Input.cursor_blink = False  # type: ignore[assignment]
    os.chdir("/srv" if os.path.isdir("/srv") else "/")  # the form shows where it is
    directory = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else DIRECTORY
    directory.mkdir(exist_ok=True)
    wanted: list[tuple[str, Moment, tuple[int, int], str | None]] = [
        (name, moment, size, None) for name, moment in PICTURES.items() for size in SIZES
    ]
    wanted += [
        (f"theme-{theme.name.removeprefix('queuectl-')}", PICTURES["busy"], (120, 40), theme.name)
        for theme in OWN_THEMES[1:]
    ]
    for name, moment, size, theme in wanted:
        path = directory / f"{name}-{size[0]}x{size[1]}.svg"
        path.write_text(local(asyncio.run(picture(moment, size, theme))), encoding="utf-8")
        if shutil.which("rsvg-convert"):
            subprocess.run(
                ["rsvg-convert", "-w", PNG_WIDTH, str(path), "-o", str(path.with_suffix(".png"))], check=True
            )
        print(path.name)


if __name__ == "__main__":
    main()
