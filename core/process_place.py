"""Where a process runs: the boot of the system, and the pid namespace (container) in which its number holds."""

# annotations are evaluated here, as in core.model

import contextlib
import functools
import os
from typing import NamedTuple


class Place(NamedTuple):
    """A boot and a pid namespace. Process numbers mean the same to all who run in one place."""

    boot_id: str
    pid_namespace: int


@functools.lru_cache(maxsize=1)
def here() -> Place:
    """Return where this process runs. The boot id is empty where the system has none (neither Linux nor macOS)."""
    pid_namespace = 0
    with contextlib.suppress(OSError):
        pid_namespace = os.stat("/proc/self/ns/pid").st_ino
    return Place(_boot_id(), pid_namespace)


def _boot_id() -> str:
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    import subprocess  # macOS; slow to load for the many commands that only ask on Linux

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    return ""
