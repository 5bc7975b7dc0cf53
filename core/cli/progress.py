"""A progress bar on stderr, drawn only on a terminal and after 0.4 s; rich is loaded when it is drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from core.cli.context import Session

#: The time before a bar appears, in seconds.
PATIENCE_S = 0.4


class ProgressBar:
    """A bar; the ``with`` block gives its ``update(done, total)``, total 0 if unknown, or None where none is drawn."""

    def __init__(self, session: Session, what: str) -> None:
        self._session = session
        self._what = what
        self._begun_s = session.monotonic_s()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Callable[[int, int], None] | None:
        is_watched = sys.stderr is not None and sys.stderr.isatty() and not self._session.is_json
        return self._update if is_watched else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _update(self, done: int, total: int) -> None:
        if self._bar is None:
            if self._session.monotonic_s() - self._begun_s < PATIENCE_S:
                return
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total or None, count="")
        self._bar.update(self._task, completed=done, total=total or None, count=_count(done, total))


def _count(done: int, total: int) -> str:
    return f"{done:,} of {total:,}" if total else f"{done:,}"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
