"""On which kind of machine a run took place, and with which versions; nothing that names the machine or its paths."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from datetime import datetime, timezone

from core.version import __version__


def facts(directory: str) -> list[tuple[str, str]]:
    """Return the facts worth printing above the table; ``directory`` is where the databases lie."""
    load = os.getloadavg()
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("processors", f"{os.cpu_count()} x {_processor()}"),
        ("memory", _memory()),
        ("system", f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}"),
        ("file system of the databases", _filesystem(directory)),
        ("load at the start", f"{load[0]:.2f} (1 min), {load[1]:.2f} (5 min)"),
        ("queuectl", __version__),
        ("Python, SQLite", f"{platform.python_version()}, {sqlite3.sqlite_version}"),
        ("sh, xargs", f"{os.path.basename(os.path.realpath('/bin/sh'))}, {_first_line('xargs', '--version')}"),
    ]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "unknown"
    return f"{size / (1 << 30):.0f} GiB"


def _filesystem(directory: str) -> str:
    """Return the kind of the file system that a directory is on, from the longest mount point above it."""
    best, kind = "", "unknown"
    try:
        with open("/proc/mounts", encoding="utf-8") as file:
            for line in file:
                _, point, found = line.split()[:3]
                inside = directory == point or directory.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, found
    except OSError:
        pass
    return kind


def _first_line(program: str, option: str) -> str:
    if shutil.which(program) is None:
        return f"no {program}"
    done = subprocess.run([program, option], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    lines = done.stdout.splitlines()
    return lines[0] if lines and done.returncode == 0 else program
