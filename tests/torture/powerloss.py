"""Power loss: a run is traced call by call, and the database is opened as a power cut at any moment may have left it.

In every state: no damage, every acknowledged enqueue is there, every act that returned is there, no result is lost
that was told more than a second before, and each result that is there has its output, be it a file of its own.
"""

from __future__ import annotations

import bisect
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import DatabaseMissing, QueueError
from core.execution import events
from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.sqlite import sqlite_of
from tests.torture import invariants
from tests.torture.disk import Call, Disk, read_trace
from tests.torture.fleet import memory_or_disk, place
from tests.torture.forks import ChildFailed, call
from tests.torture.results import Options, Result

TITLE = "power-loss replay"
#: How old a result may be, in seconds, that a power cut takes back.
SAFE_AFTER_S = 1.0
_CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename,mkdir,rmdir"
#: A command whose output, the numbers from 1 on, stays in a file of its own, and what that holds.
_LONG = "seq 1 15000"
_LONG_OUTPUT = "".join(f"{number}\n" for number in range(1, 15001)).encode()
_BATCH = 100
_NOTES = "./notes"
_LOOKED_AT = "long outputs looked at"


def run(options: Options) -> Result:
    """Look at 2,000 states in the short form, at 50,000 in the long one."""
    result = Result()
    if shutil.which("strace") is None:
        result.skipped = "there is no strace"
        return result
    chance = options.random()
    traces = 1 if options.is_short else 5
    states = options.pick(2_000, 50_000) // traces
    for _ in range(traces):
        with place(memory_or_disk()) as directory:
            seed = chance.randrange(1 << 30)
            story = _tell(directory, 6 if options.is_short else 12, seed)
            if isinstance(story, str):
                result.skipped = story
                return result
            result.count("traced calls", len(story.calls))
            result.count("acknowledged jobs", sum(note.kind == "A" for note in story.notes))
            result.count("results told", sum(note.kind == "R" for note in story.notes))
            moments = story.moments(states, chance)
            for start in range(0, len(moments), _BATCH):
                _look(story, moments[start : start + _BATCH], chance.randrange(1 << 30), result)
                if options.is_enough(result):
                    return result
    return result


@dataclass(frozen=True, slots=True)
class _Note:
    """Something that was told to somebody: an id (A), an act (U), a result (R), at a place in the trace."""

    place: int
    at_s: float
    kind: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Story:
    directory: str
    calls: Sequence[Call]
    notes: Sequence[_Note]
    changes: Sequence[int]

    def moments(self, count: int, chance: random.Random) -> list[int]:
        """Return places in the trace after calls that changed something; a fifth of them while the file is made."""
        first = next((note.place for note in self.notes), len(self.calls))
        early = [place for place in self.changes if place < first]
        return sorted(chance.choice(early if early and chance.random() < 0.2 else self.changes) for _ in range(count))


def _tell(directory: str, seconds: int, seed: int) -> _Story | str:
    """Run the traced program; return its story, or why there is none."""
    trace = os.path.join(directory, "trace")
    home = os.path.join(directory, "home")
    os.mkdir(home)
    command = [
        *(
            "strace",
            "-f",
            "-y",
            "--seccomp-bpf",
            "-o",
            trace,
            "-ttt",
            "-xx",
            "-s",
            "100000000",
            "-e",
            f"trace={_CALLS}",
        ),
        *(sys.executable, "-m", "tests.torture.powerloss", home, str(seconds), str(seed)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
    if done.returncode != 0:
        return f"strace could not run it: {done.stderr.strip().splitlines()[-1:]}"
    calls = list(read_trace(trace))
    os.unlink(trace)
    disk = Disk(home)
    notes: list[_Note] = []
    changes: list[int] = []
    for place_, one in enumerate(calls):
        text = disk.written_to(one, _NOTES)
        if text is not None:
            kind, *numbers = text.decode().split()
            notes.append(_Note(place_, one.at_s, kind, tuple(int(number) for number in numbers)))
        elif disk.replay(one):
            changes.append(place_)
    return _Story(home, calls, notes, changes)


def _look(story: _Story, moments: Sequence[int], seed: int, result: Result) -> None:
    """Look at some states in one child; when it dies or hangs, that is a problem of its own."""
    try:
        found = call(lambda: _look_at(story, moments, seed), timeout_s=300.0)
    except ChildFailed as error:
        result.problems.append(f"states {moments[0]} to {moments[-1]}: {error}")
        return
    for what in ("states", _LOOKED_AT):
        result.count(what, int(found.numbers.get(what, 0)))
    result.most("oldest result lost, s", float(found.numbers.get("oldest result lost, s", 0.0)))
    result.problems += found.problems


def _look_at(story: _Story, moments: Sequence[int], seed: int) -> Result:
    result = Result({"states": 0})
    chance = random.Random(seed)
    disk = Disk(story.directory)
    done = 0
    for moment in moments:
        for one in story.calls[done : moment + 1]:
            disk.replay(one)
        done = moment + 1
        left = disk.after_a_power_cut(chance)
        told = story.notes[: bisect.bisect_left([note.place for note in story.notes], moment + 1)]
        at_s = story.calls[moment].at_s
        result.count("states")
        for problem in _open(story.directory + f"-left-{os.getpid()}", left, told, at_s, result):
            result.problems.append(f"power cut after call {moment} (seed {seed}): {problem}")
    return result


def _open(directory: str, left: dict[str, bytes], told: Sequence[_Note], at_s: float, result: Result) -> list[str]:
    os.makedirs(directory)
    try:
        for name, content in left.items():
            if name != _NOTES and not name.endswith("-shm"):
                path = os.path.join(directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
        with Queue(os.path.join(directory, "queue.db"), create=not told) as queue:
            return _check(queue, told, at_s, result)
    except DatabaseMissing as error:
        return [str(error)] if told else []
    except QueueError as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(directory)


def _check(queue: Queue, told: Sequence[_Note], at_s: float, result: Result) -> list[str]:
    connection = sqlite_of(queue).connection()
    ids = [job_id for note in told if note.kind == "A" for job_id in note.numbers]
    problems = invariants.of_database(sqlite_of(queue), ids)
    there = {row[0] for row in connection.execute("SELECT id FROM acts").fetchall()}
    problems += [f"act {note.numbers[0]} is gone" for note in told if note.kind == "U" and note.numbers[0] not in there]
    problems += _check_outputs(queue, result)
    ended = set(connection.execute("SELECT job_id, number FROM attempts WHERE ended_at IS NOT NULL").fetchall())
    for note in told:
        if note.kind == "R" and note.numbers not in ended:
            result.most("oldest result lost, s", at_s - note.at_s)
            if at_s - note.at_s > SAFE_AFTER_S:
                problems.append(
                    f"the result of attempt {note.numbers} is gone {at_s - note.at_s:.2f} s after it was told"
                )
    return problems


def _check_outputs(queue: Queue, result: Result) -> list[str]:
    """Return what is wrong with the long outputs of the results that are there."""
    problems = []
    found = (
        sqlite_of(queue)
        .connection()
        .execute(
            "SELECT job_id, number FROM attempts JOIN jobs ON jobs.id = job_id"
            " WHERE ended_at IS NOT NULL AND attempts.outcome = 'succeeded' AND command = ?",
            (_LONG,),
        )
    )
    for job_id, number in found.fetchall():
        result.count(_LOOKED_AT)
        try:
            output = queue.output(job_id, number)
            content = output.read(0, output.size())
        except QueueError as error:
            problems.append(f"the output of attempt {job_id, number} is lost: {error}")
            continue
        if content != _LONG_OUTPUT:
            problems.append(f"of the output of attempt {job_id, number} {len(content)} bytes are there, or others")
    return problems


# --- the traced program


def _program(directory: str, seconds: float, seed: int) -> None:
    """Enqueue, run, replay, purge for some seconds, all in this thread; note what was told to whom."""
    chance = random.Random(seed)
    notes = os.open(os.path.join(directory, "notes"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(kind: str, *numbers: int) -> None:
        os.write(notes, " ".join((kind, *map(str, numbers))).encode())

    with Queue(os.path.join(directory, "queue.db")) as queue:
        ends_at = queue.storage.clock.monotonic_s() + seconds

        def on_event(event: events.WorkerEvent) -> None:
            if isinstance(event, events.AttemptEnded):
                note("R", event.job.id, event.number)
                if queue.storage.clock.monotonic_s() < ends_at:
                    _go_on(queue, chance, note)

        for command in ("true", _LONG, "true", _LONG, "true"):
            note("A", queue.add(command))
        Worker(queue, slots=2, once=True, on_event=on_event).run()
    os.close(notes)


def _go_on(queue: Queue, chance: random.Random, note: object) -> None:
    assert callable(note)
    is_quiet = queue.storage.clock.monotonic_s() % 4.5 > 1.5
    # copied back often, so that power cuts fall into that; but never in a quiet time
    sqlite_of(queue).connection().execute(f"PRAGMA wal_autocheckpoint = {100_000 if is_quiet else 60}")
    if is_quiet:
        # for longer than a result may be lost nobody enqueues: what a worker records is synced by nobody but itself
        if queue.counts().of(State.PENDING) < 2:
            note("A", *queue.enqueue_many([NewJob("true")] * 1000))
        return
    kind = chance.random()
    if kind < 0.1:
        note("A", *queue.enqueue_many([NewJob(f"echo {'x' * chance.randrange(3000)}") for _ in range(5)]))
    elif kind < 0.15:
        act = queue.purge(View(states=(State.COMPLETED,)))
        if act.id:
            note("U", act.id)
    elif kind < 0.2:
        act = queue.replay(queue.ids(View(states=(State.COMPLETED,)))[:2])
        if act.id:
            note("U", act.id)
    if kind < 0.6:
        note("A", queue.add("true" if kind > 0.25 else _LONG))
    if queue.counts().of(State.PENDING) < 2:
        note("A", *queue.enqueue_many([NewJob("true")] * 4))


if __name__ == "__main__":
    _program(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
