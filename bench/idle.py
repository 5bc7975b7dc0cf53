"""What a worker costs while there is nothing to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from bench.latency import serving
from bench.lines import Line, Scale, Target
from bench.place import scratch
from core.queue import Queue


def run(scale: Scale) -> Iterable[Line]:
    """Yield processor time, wake-ups and bytes written of an idle worker; nothing where the system does not tell."""
    if not os.path.exists("/proc/self/stat"):
        return
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        Queue(database).close()
        with serving(database) as pid:
            time.sleep(0.5)  # past its start: registering, the first recovery, the sync after it
            before = _usage(pid)
            time.sleep(scale.idle_s)
            after = _usage(pid)
    cpu_s, wakes, written = (late - early for early, late in zip(before, after, strict=True))
    over = f"over {scale.idle_s:g} s"
    yield Line(
        "idle", f"processor time {over}", cpu_s / scale.idle_s * 100, "% of a core", target=Target(False, 1, "%")
    )
    yield Line("idle", f"wake-ups {over}", wakes / scale.idle_s, "a second")
    yield Line("idle", f"bytes written {over}", written, "bytes", target=Target(False, 0, "bytes"))


def _usage(pid: int) -> tuple[float, float, float]:
    """Return processor seconds, voluntary switches and bytes handed to ``write`` so far, over all threads."""
    wakes = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            wakes += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        written = next(int(line.split()[1]) for line in file if line.startswith("wchar"))
    return processor_s(pid), float(wakes), float(written)


def processor_s(pid: int) -> float:
    """Return the processor time that the threads of a process have taken so far."""
    # the scheduler's own sum is exact to the nanosecond; the ticks of /proc/PID/stat are not
    spent_s = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            spent_s += int(file.read().split()[0]) / 1e9
    return spent_s
