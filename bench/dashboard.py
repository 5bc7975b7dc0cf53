"""The dashboard in a real pty at 120x40: its start, its keys, what a change costs it, and its memory."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from statistics import median

from bench.idle import processor_s
from bench.lines import Line, Scale, Target, middle_ratio, percentile
from bench.peers import SCRIPTS
from bench.place import scratch
from core.execution.worker import StopMode, Worker
from core.model import NewJob, State, View
from core.queue import Queue
from queuectl_tui.gateway.pacing import CALM_AFTER_S
from tests.tui.pty_program import PtyProgram

DOWN, PAGE_DOWN, END = b"\x1b[B", b"\x1b[6~", b"\x1b[F"
# Changes in a row before as long a time without any, one every so many seconds: what happens once a second happens
# equally often in both.
_SPELL = 12
_CHANGE_EVERY_S = 0.25

#: The least that a program with this toolkit does before it can show anything.
_IMPORTS = "import textual.app, textual.widgets"


def run(scale: Scale) -> Iterable[Line]:
    """Yield the lines of the dashboard over a long queue; nothing where there is no /proc."""
    if not os.path.exists("/proc/self/stat"):
        return
    with scratch() as directory:
        path = os.path.join(directory, "queue.db")
        _fill(path, scale.large_queue)
        yield from _measure_start(path, scale)
        yield from _measure_keys(path, scale)
        yield from _measure_changes(path, scale)
        yield from _measure_idle(path, scale)
        yield from _measure_busy(directory, scale)
        yield from _measure_memory(path, scale)


def _dashboard(path: str) -> PtyProgram:
    """Start a dashboard that only shows."""
    command = [sys.executable, "-m", "queuectl_tui", "--db", path, "--no-worker"]
    return PtyProgram(command, env=_as_installed(os.path.dirname(path)))


def _as_installed(directory: str) -> dict[str, str]:
    """Return variables that let Python keep compiled modules, as it does for installed ones, and no one's settings."""
    return {
        "XDG_CONFIG_HOME": os.path.join(directory, "config"),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": os.path.join(directory, "compiled"),
    }


def _import_s(directory: str) -> float:
    """Return the seconds that a process takes which imports the toolkit and ends."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", _IMPORTS], env={**os.environ, **_as_installed(directory)}, check=True)
    return time.monotonic() - began_s


def _fill(path: str, jobs: int) -> None:
    """Make a queue of so many jobs: 60 % waiting, 38 % completed, 2 % dead."""
    with Queue(path) as queue:
        queue.enqueue_many(NewJob(f"python etl.py --part {number}") for number in range(jobs))
    connection = sqlite3.connect(path)
    with connection:
        ended_at = f"since - {jobs} + id"  # one a millisecond, the last one now
        ended = (
            "state = ?, outcome = ?, exit_code = ?, run_ms = 900, attempts = 1, "
            f"started_at = {ended_at} - 900, finished_at = {ended_at}, since = {ended_at}"
        )
        for state, outcome, code, low, high in (
            ("completed", "succeeded", 0, 0.60, 0.98),
            ("dead", "failed", 1, 0.98, 1.0),
        ):
            connection.execute(
                f"UPDATE jobs SET {ended} WHERE id > ? AND id <= ?",
                (state, outcome, code, int(jobs * low), int(jobs * high)),
            )
    connection.close()


def _line(what: str, ours: float, unit: str, target: float) -> Line:
    return Line("dashboard", f"dashboard: {what}", ours, unit, target=Target(False, target, unit))


def _measure_start(path: str, scale: Scale) -> list[Line]:
    """Measure from exec to the first job on the screen, in turn with a process that only imports Textual."""
    ours: list[float] = []
    floor: list[float] = []
    for number in range(scale.dashboard_starts + 1):
        with _dashboard(path) as program:
            program.wait_for(b"etl.py --part")
            started_s = time.monotonic() - program.started_s
            program.settle()
            program.press(b"\x11")
            program.wait(5)
        import_s = _import_s(os.path.dirname(path))
        if number:  # the first ones compile the modules
            ours.append(started_s)
            floor.append(import_s)
    what = f"dashboard: start to first content, {scale.large_queue:,} jobs"
    against = f'python -c "{_IMPORTS}"'
    start_ms, floor_ms, ratio = median(ours) * 1000, median(floor) * 1000, middle_ratio(ours, floor)
    return [Line("dashboard", what, start_ms, "ms", against, floor_ms, ratio, Target(False, 1.7))]


def _key_times(program: PtyProgram, keys: list[bytes], repeats: int) -> list[float]:
    """Return the seconds from key to first byte, keys in turn, each after things are quiet."""
    times = []
    for number in range(repeats):
        program.settle(0.06)
        answer_s = program.answer_time(keys[number % len(keys)])
        if answer_s is not None:
            times.append(answer_s)
    return times


def _measure_keys(path: str, scale: Scale) -> list[Line]:
    """Measure moving in a long list."""
    with _dashboard(path) as program:
        program.wait_for(b"etl.py --part")
        program.settle()
        rows = _key_times(program, [DOWN], scale.keys)
        pages = _key_times(program, [PAGE_DOWN], scale.keys)
        panes = _key_times(program, [b"2", b"3", b"4", b"1"], scale.keys)
        program.settle()
        ends = _key_times(program, [END, b"g"], 10)
    return [
        _line("row move, p50", percentile(rows, 0.5) * 1000, "ms", 8),
        _line("row move, p95", percentile(rows, 0.95) * 1000, "ms", 16),
        _line("page, p95", percentile(pages, 0.95) * 1000, "ms", 25),
        _line("pane switch, p95", percentile(panes, 0.95) * 1000, "ms", 33),
        _line("jump to the end and back, p95", percentile(ends, 0.95) * 1000, "ms", 50),
    ]


def _datatable(path: str) -> PtyProgram:
    """Start the same list in Textual's own table."""
    script = os.path.join(SCRIPTS, "with_datatable.py")
    return PtyProgram([sys.executable, script, path], env=_as_installed(os.path.dirname(path)))


class _Changes:
    """What changes of one row, made by this process, did to a program that shows it."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.costs_s: list[float] = []
        self.bytes = 0

    def measure(self, program: PtyProgram, edit: Callable[[int], object], spells: int) -> None:
        """Let spells with changes and spells without, equally long, take turns: what looking costs is in both."""
        for spell in range(spells):
            before_s, began_s = processor_s(program.pid), time.monotonic()
            for number in range(_SPELL):
                edit(spell * _SPELL + number)
                committed_s = time.monotonic()
                data = program.read(2.0)
                self.times_s.append(time.monotonic() - committed_s)
                left_s = began_s + (number + 1) * _CHANGE_EVERY_S - time.monotonic()
                self.bytes += len(data) + program.drain(max(0.0, left_s))
            took_s, spent_s = time.monotonic() - began_s, processor_s(program.pid) - before_s
            before_s = processor_s(program.pid)
            self.bytes -= program.drain(took_s)
            calm_s = processor_s(program.pid) - before_s
            self.costs_s.append((spent_s - calm_s) / _SPELL)


def _measure_changes(path: str, scale: Scale) -> list[Line]:
    """Measure what another process's commit costs: one row on the screen changes its label and its place stays."""
    ours, theirs = _Changes(), _Changes()
    spells = max(1, scale.changes // _SPELL // 2)
    with Queue(path) as queue:
        job = queue.jobs(View(states=(State.PENDING,)), limit=5)[3]
        for start, changes in ((_dashboard, ours), (_datatable, theirs)) * 2:
            with start(path) as program:
                program.wait_for(b"etl.py --part")
                program.settle()
                changes.measure(
                    program, lambda number: queue.edit(job.id, command=f"python etl.py --part {number:06}"), spells
                )
    cost_ms, their_ms = median(ours.costs_s) * 1000, median(theirs.costs_s) * 1000
    per_change, theirs_per_change = ours.bytes / len(ours.times_s), theirs.bytes / len(theirs.times_s)
    cpu, count = "dashboard: refresh with one changed row, CPU", "dashboard: refresh with one changed row, bytes"
    return [
        _line("commit elsewhere to visible, p50", percentile(ours.times_s, 0.5) * 1000, "ms", 150),
        _line("commit elsewhere to visible, p95", percentile(ours.times_s, 0.95) * 1000, "ms", 150),
        Line("dashboard", cpu, cost_ms, "ms", "a DataTable of Textual", their_ms, None, Target(False, 6, "ms")),
        Line(
            "dashboard",
            count,
            per_change,
            "B",
            "a DataTable of Textual",
            theirs_per_change,
            None,
            Target(False, 600, "B"),
        ),
    ]


def _measure_idle(path: str, scale: Scale) -> list[Line]:
    """Measure a dashboard that nothing happens on, once it has noticed that."""
    with _dashboard(path) as program:
        program.wait_for(b"etl.py --part")
        program.drain(CALM_AFTER_S + 1)
        before_s, began_s = processor_s(program.pid), time.monotonic()
        count = program.drain(scale.idle_s)
        took_s = time.monotonic() - began_s
        share = (processor_s(program.pid) - before_s) / took_s
    return [
        _line("idle CPU", share * 100, "%", 1),
        _line("idle bytes written", count / took_s / 1000, "KB/s", 1),
    ]


def _measure_busy(directory: str, scale: Scale) -> list[Line]:
    """Measure the load of 100 transitions and 100 lines of followed output a second."""
    path = os.path.join(directory, "busy.db")
    stop = threading.Event()
    with Queue(path) as queue:
        worker = Worker(queue, slots=1)
        worker.start()
        queue.enqueue("i=0; while :; do i=$((i+1)); echo line $i of a busy job; sleep 0.008; done")

        def churn() -> None:
            while not stop.is_set():
                job_id = queue.add(NewJob("true", queue="other"))
                stop.wait(0.008)
                queue.cancel([job_id])
                stop.wait(0.008)

        queue.pause("other") if any(one.name == "other" for one in queue.queues()) else queue.limit("other", 0)
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            with _dashboard(path) as program:
                program.settle(0.05, 2.0)
                program.press(b"2")
                program.drain(1.0)
                before_s, began_s = processor_s(program.pid), time.monotonic()
                program.drain(scale.busy_s)
                share = (processor_s(program.pid) - before_s) / (time.monotonic() - began_s)
        finally:
            stop.set()
            thread.join()
            worker.stop(StopMode.NOW)
            worker.join(10)
    return [_line("CPU at 100 transitions and 100 lines a second", share * 100, "%", 30)]


def _measure_memory(path: str, scale: Scale) -> list[Line]:
    """Measure memory with the long list and a long output open."""
    lines = scale.output_lines
    with Queue(path) as queue:
        job_id = queue.add(
            NewJob(f"seq -f 'line %.0f of a long output, with some words so that it is wide' {lines}", priority=9)
        )
        worker = Worker(queue, slots=1)
        worker.start()
        deadline_s = time.monotonic() + 60
        while queue.job(job_id).state is not State.COMPLETED and time.monotonic() < deadline_s:
            time.sleep(0.05)
        worker.stop(StopMode.NOW)
        worker.join(10)
        with _dashboard(path) as program:
            program.wait_for(b"etl.py --part")
            program.settle()
            program.press(b"3")
            program.settle()
            # away from the newest, which is the job that is looked for: only what was not shown is drawn
            program.press(END)
            program.settle()
            before = len(program.output)
            began_s = time.monotonic()
            program.press(b"/")
            for character in f"id:{job_id}":
                program.press(character.encode())
            program.press(b"\r")
            program.wait_for(f"line {lines}".encode(), 20, before)
            opened_s = time.monotonic() - began_s
            program.settle()
            resident = program.resident_bytes()
    return [
        _line(f"memory, {lines:,}-line output open", resident / 1e6, "MB", 80),
        _line(f"filter by id to the end of {lines:,} lines", opened_s * 1000, "ms", 1000),
    ]
