"""Small disks that tests fill up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import DiskFull
from core.queue import Queue

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk or become another user")


@contextlib.contextmanager
def mounted(point: Path, size: str) -> Iterator[Path]:
    """Mount a disk of a size (``32m``) at a new directory; skip the test where that cannot be done."""
    point.mkdir()
    if not sys.platform.startswith("linux"):
        pytest.skip("needs tmpfs")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", point], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=False)


def remount(disk: Path, access: str) -> None:
    """Make a mounted disk read-only (``ro``) or writable (``rw``)."""
    subprocess.run(["mount", "-o", f"remount,{access}", disk], check=True)


def fill(disk: Path) -> Path:
    """Write to a disk until there is no room; return the file to remove to make room again."""
    filler = disk / "filler"
    for size in (1 << 20, 512):
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(size))
    return filler


def enqueue_until_full(queue: Queue) -> list[int]:
    """Enqueue until the disk is full; return the ids that were acknowledged."""
    acknowledged = []
    with pytest.raises(DiskFull, match=r"disk of .* is full; nothing was changed"):  # noqa: PT012 - the n-th raises
        for _ in range(10_000):
            acknowledged += [queue.add("echo " + "x" * 5000)]
    return acknowledged
