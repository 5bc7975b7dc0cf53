"""Export an attempt's output: into a new file, or into ``$PAGER``."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from core.errors import QueueError
from core.wording import size
from queuectl_tui.snapshot import JobDetail, Readable
from queuectl_tui.toasts import toast

_CHUNK_BYTES = 1 << 20


def write_output(output: Readable, descriptor: int) -> int:
    """Copy an output into an open file and return the number of bytes."""
    offset = 0
    with os.fdopen(descriptor, "wb") as file:
        while chunk := output.read(offset, _CHUNK_BYTES):
            file.write(chunk)
            offset += len(chunk)
    return offset


def free_path(directory: Path, job_id: int, number: int, what: str = "") -> Path:
    """Return a path that does not exist yet: ``job-42-attempt-1.log``, then ``job-42-attempt-1-2.log``."""
    stem = f"job-{job_id}-attempt-{number}{what}"
    path, again = directory / f"{stem}.log", 1
    while path.exists():
        again += 1
        path = directory / f"{stem}-{again}.log"
    return path


def save_output(app: App[Any], detail: JobDetail | None) -> None:
    """Write the output of a job to a new file in the directory the dashboard was started in."""
    if detail is None or detail.output is None or detail.number is None:
        toast(app, "There is no output to save.", "warning")
        return
    what = "" if detail.compared_with is None else f"-against-{detail.compared_with}"
    path = free_path(Path.cwd(), detail.job.id, detail.number, what)
    try:
        written = write_output(detail.output, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except (OSError, QueueError) as error:
        toast(app, f"The output was not saved: {error}", "error")
    else:
        toast(app, f"{size(written)} saved as {path}")


def pager_command() -> list[str]:
    """Return ``$PAGER`` as words; ``less`` (with colours, and harmless otherwise) without one."""
    given = os.environ.get("PAGER", "").strip()
    words = shlex.split(given) if given else ["less"]
    return [*words, "-R"] if os.path.basename(words[0]) == "less" and "-R" not in words else words


def page_output(app: App[Any], detail: JobDetail | None) -> None:
    """Show the output of a job in ``$PAGER`` while the dashboard is suspended."""
    if detail is None or detail.output is None:
        toast(app, "There is no output to open.", "warning")
        return
    descriptor, path = tempfile.mkstemp(prefix=f"queuectl-{detail.job.id}-", suffix=".log")
    try:
        write_output(detail.output, descriptor)
        with app.suspend():
            subprocess.run([*pager_command(), path], check=False)
    except SuspendNotSupported:
        toast(app, "This terminal cannot step aside for a pager; ctrl+s saves the output.", "warning")
    except (OSError, ValueError, QueueError) as error:
        toast(app, f"The pager did not start: {error}", "error")
    finally:
        os.unlink(path)
