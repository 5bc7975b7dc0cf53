"""Takes an attempt's output out of the dashboard: into the person's pager, or into a file."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import SuspendNotSupported

from core.errors import QueueError
from queuectl_tui.format import size
from queuectl_tui.screens.board import Board
from queuectl_tui.snapshot import Readable

_CHUNK_BYTES = 1 << 20


def write_output(output: Readable, descriptor: int) -> int:
    """Copy an output into an open file and return the number of bytes."""
    offset = 0
    with os.fdopen(descriptor, "wb") as file:
        while chunk := output.read(offset, _CHUNK_BYTES):
            file.write(chunk)
            offset += len(chunk)
    return offset


def free_path(directory: Path, job_id: int, number: int) -> Path:
    """Return a path that does not exist yet: ``job-42-attempt-1.log``, then ``job-42-attempt-1-2.log``."""
    stem = f"job-{job_id}-attempt-{number}"
    path, again = directory / f"{stem}.log", 1
    while path.exists():
        again += 1
        path = directory / f"{stem}-{again}.log"
    return path


def save_output(board: Board) -> None:
    """Write the shown output to a new file in the directory the dashboard was started in."""
    detail = board.shown
    if detail is None or detail.output is None or detail.number is None:
        board.toast("There is no output to save.", "warning")
        return
    path = free_path(Path.cwd(), detail.job.id, detail.number)
    try:
        written = write_output(detail.output, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except (OSError, QueueError) as error:
        board.toast(f"The output was not saved: {error}", "error")
    else:
        board.toast(f"{size(written)} saved as {path}")


def pager_command() -> list[str]:
    """Return ``$PAGER`` as words; ``less`` (with colours, and harmless otherwise) without one."""
    given = os.environ.get("PAGER", "").strip()
    words = shlex.split(given) if given else ["less"]
    return [*words, "-R"] if os.path.basename(words[0]) == "less" and "-R" not in words else words


def page_output(board: Board) -> None:
    """Show the output in the person's pager while the dashboard steps aside."""
    detail = board.shown
    if detail is None or detail.output is None:
        board.toast("There is no output to open.", "warning")
        return
    descriptor, path = tempfile.mkstemp(prefix=f"queuectl-{detail.job.id}-", suffix=".log")
    try:
        write_output(detail.output, descriptor)
        with board.app.suspend():
            subprocess.run([*pager_command(), path], check=False)
    except SuspendNotSupported:
        board.toast("This terminal cannot step aside for a pager; ctrl+s saves the output.", "warning")
    except (OSError, ValueError, QueueError) as error:
        board.toast(f"The pager did not start: {error}", "error")
    finally:
        os.unlink(path)
