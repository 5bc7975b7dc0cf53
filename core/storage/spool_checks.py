"""What the doctor looks at in the directories and files of this host, whatever the engine: permissions and room."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from core.model import Finding
from core.spool import Spool


def check_permissions(files: Iterable[str], spool: Spool) -> Iterator[Finding]:
    """Yield whether other users may use the files or the directories of a spool; what is not there is skipped."""
    open_to_others = []
    for path in (*files, spool.root, spool.attempts, spool.workers):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                open_to_others.append(path)
    if open_to_others:
        yield Finding("warning", "permissions", f"others may use {', '.join(open_to_others)}", "chmod go= them")
    else:
        yield Finding("ok", "permissions", "yours alone")


def check_room(directory: str, wanted: int, advice: str) -> Iterator[Finding]:
    """Yield how much room there is on the disk of a directory, and ``advice`` if that is less than ``wanted`` bytes."""
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    if free < wanted:
        yield Finding("warning", "disk", f"{free:,} bytes are free; results may have to wait to be recorded", advice)
    else:
        yield Finding("ok", "disk", f"{free:,} bytes are free")
