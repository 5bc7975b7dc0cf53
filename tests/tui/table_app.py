"""An app with one job table and the bars, and jobs to show in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot

from core.model import Job, Row, State, View
from queuectl_tui.snapshot import Pane, PaneData
from queuectl_tui.widgets.confirm_bar import ConfirmBar
from queuectl_tui.widgets.filter_bar import FilterBar
from queuectl_tui.widgets.job_table import JobTable

NOW = datetime(2026, 1, 3, 12, 0, 0, tzinfo=timezone.utc)
HOSTILE = [
    "printf '\x1b]52;c;aGk=\x07\x1b[2J'",
    "a\nb\r\nc\td",
    "\u202egnp.exe\u2066",
    "[bold red]not markup[/] [@click=app.quit]x[/]",
    "👩\u200d👩\u200d👧 a\u200db \u200d",
    "日本語のとても長いコマンドラインであるから切られる必要がある",
    "e\u0301\u0301\u0301" * 50,
    "x" * 100_000,
    "\x00\x7f\x9b31m\ud800",
    "",
]


def a_job(job_id: int, state: State = State.PENDING, command: str = "true", **fields: Any) -> Job:
    job = Job(
        id=job_id,
        name=None,
        command=command,
        queue="default",
        priority=0,
        label=None,
        cwd="/srv",
        env={},
        max_attempts=3,
        timeout_s=None,
        backoff_base=2.0,
        ok_exit=None,
        dead_exit=None,
        state=state,
        run_at=None,
        attempts=0,
        interrupts=0,
        enqueued_at=NOW - timedelta(minutes=9),
        since=NOW - timedelta(seconds=2),
        started_at=None,
        finished_at=None,
        run_s=None,
        last_outcome=None,
        last_exit_code=None,
        last_signal=None,
        last_error=None,
    )
    return job._replace(**fields)


def window(ids: Sequence[int], start: int = 0, length: int | None = None, view: View | None = None) -> PaneData:
    stop = len(ids) if length is None else start + length
    return of_jobs([a_job(job_id) for job_id in ids[start:stop]], len(ids), start, view)


def of_jobs(jobs: Iterable[Job], total: int | None = None, start: int = 0, view: View | None = None) -> PaneData:
    rows = tuple(Row((job.id,), job) for job in jobs)
    return PaneData(len(rows) if total is None else total, start, rows, view or View())


class Table(JobTable):
    """A table that notes what it refreshes."""

    def __init__(self, pane: Pane, *, is_ascii: bool = False) -> None:
        self.refreshed: list[Region | None] = []
        super().__init__(pane, is_ascii=is_ascii, id="table")

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Table:
        self.refreshed.extend(regions or [None])
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class TableApp(App[None]):
    """One table of ten lines at 80 columns, with the bars below it."""

    CSS = "JobTable { height: 10; }"

    def __init__(self, pane: Pane, *, is_ascii: bool = False) -> None:
        super().__init__()
        self.table = Table(pane, is_ascii=is_ascii)
        self.said: list[Message] = []
        self.confirmed = 0

    def compose(self) -> ComposeResult:
        yield self.table
        yield FilterBar()
        yield ConfirmBar()

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.said if type(message) is kind]

    def confirm(self) -> None:
        self.confirmed += 1

    def on_job_table_cursor_moved(self, message: JobTable.CursorMoved) -> None:
        self.said.append(message)

    def on_job_table_window_wanted(self, message: JobTable.WindowWanted) -> None:
        self.said.append(message)

    def on_job_table_range_wanted(self, message: JobTable.RangeWanted) -> None:
        self.said.append(message)

    def on_job_table_marked(self, message: JobTable.Marked) -> None:
        self.said.append(message)

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        self.said.append(message)

    def on_job_table_heading_clicked(self, message: JobTable.HeadingClicked) -> None:
        self.said.append(message)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        self.said.append(message)

    def on_filter_bar_submitted(self, message: FilterBar.Submitted) -> None:
        self.said.append(message)

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        self.said.append(message)

    def on_confirm_bar_closed(self, message: ConfirmBar.Closed) -> None:
        self.said.append(message)


@asynccontextmanager
async def running(
    pane: Pane = Pane.PENDING, *, is_ascii: bool = False
) -> AsyncIterator[tuple[TableApp, Table, Pilot[None]]]:
    app = TableApp(pane, is_ascii=is_ascii)
    async with app.run_test(size=(80, 14)) as pilot:
        app.table.focus()
        await pilot.pause()
        yield app, app.table, pilot


def lines(table: JobTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]
