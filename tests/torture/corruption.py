"""Corruption: bytes flipped, files cut short, of the database and of its WAL.

Whatever the damage, every use ends within its time in a result or in one of our errors; no crash, no hang. When opening
is refused, the files are as they were.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil

from core.errors import QueueError
from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from tests.torture.fleet import memory_or_disk, place
from tests.torture.forks import ChildFailed, call
from tests.torture.results import Options, Result

TITLE = "corruption"
_BATCH = 25
_TIMEOUT_S = 20.0
_FILES = ("queue.db", "queue.db-wal")


def run(options: Options) -> Result:
    """Damage 300 copies in the short form, 20,000 in the long one."""
    result = Result()
    count = options.pick(300, 20_000)
    with place(memory_or_disk()) as directory:
        call(lambda: _make(directory))
        for start in range(0, count, _BATCH):
            seeds = [options.seed * 1_000_003 + number for number in range(start, min(count, start + _BATCH))]
            _batch(directory, seeds, result)
            if options.is_enough(result):
                break
    return result


def _batch(directory: str, seeds: list[int], result: Result) -> None:
    """Try some in one child; when it dies or hangs, find out which by trying them one by one."""
    try:
        found = call(lambda: [_case(directory, seed) for seed in seeds], timeout_s=_TIMEOUT_S)
    except ChildFailed as error:
        if len(seeds) == 1:
            result.problems.append(f"seed {seeds[0]}: {error}")
            return
        for seed in seeds:
            _batch(directory, [seed], result)
        return
    for ending, problems in found:
        result.count("files")
        result.count(ending)
        result.problems += problems


def _make(directory: str) -> None:
    """Leave a database with history, and a WAL that was not written back, as a killed process would."""
    source = os.path.join(directory, "source")
    sound = os.path.join(directory, "sound")
    os.mkdir(source)
    os.mkdir(sound)
    with Queue(os.path.join(source, "queue.db")) as queue:
        queue.enqueue_many([NewJob(f"echo {number}; exit {number % 3}", max_attempts=1) for number in range(60)])
        Worker(queue, slots=4, once=True).run()
        queue.enqueue_many([NewJob(f"echo {'x' * number}", queue=f"queue{number % 7}") for number in range(300)])
        queue.backup(os.path.join(sound, "copy"))
    with Queue(os.path.join(source, "queue.db")) as queue:
        queue.purge(View(states=(State.COMPLETED,)))
        queue.enqueue_many([NewJob("true", name=f"job-{number}") for number in range(50)])
        queue.edit("job-3", command="false")
        for name in _FILES:
            shutil.copy(os.path.join(source, name), sound)
    os.unlink(os.path.join(sound, "copy"))


def _case(directory: str, seed: int) -> tuple[str, list[str]]:
    """Damage one copy and use it; return how that ended, and what was wrong with that."""
    chance = random.Random(seed)
    case = os.path.join(directory, f"case-{os.getpid()}")
    shutil.copytree(os.path.join(directory, "sound"), case)
    try:
        damage = _damage(case, chance)
        return _use(case, f"seed {seed} ({damage})")
    finally:
        shutil.rmtree(case)


def _damage(case: str, chance: random.Random) -> str:
    name = chance.choice((_FILES[0], _FILES[0], _FILES[1]))
    path = os.path.join(case, name)
    size = os.path.getsize(path)
    kind = chance.choice(("flip", "flip", "header", "cut", "zero", "noise"))
    if name == _FILES[0] and chance.random() < 0.5:
        os.unlink(os.path.join(case, _FILES[1]))
    if kind == "cut":
        os.truncate(path, chance.randrange(size))
        return f"{name} cut"
    with open(path, "r+b") as file:
        for _ in range(chance.choice((1, 1, 8, 64))):
            at = chance.randrange(100 if kind == "header" else size)
            length = chance.randint(1, 512) if kind in ("zero", "noise") else 1
            file.seek(at)
            old = file.read(length)
            file.seek(at)
            if kind == "zero":
                file.write(bytes(len(old)))
            elif kind == "noise":
                file.write(chance.randbytes(len(old)))
            else:
                file.write(bytes(byte ^ (1 << chance.randrange(8)) for byte in old))
    return f"{name} {kind}"


def _use(case: str, what: str) -> tuple[str, list[str]]:
    """Open the database and do a little of everything with it."""
    before = _digests(case)
    path = os.path.join(case, "queue.db")
    try:
        queue = Queue(path, create=False, busy_timeout_s=2.0)
    except QueueError as error:
        problems = [] if _digests(case) == before else [f"{what}: refused ({error}) and changed"]
        return f"refused when opened: {type(error).__name__}", problems
    except Exception as error:
        return "undocumented error", [f"{what}: opening raised {error!r}"]
    with queue:
        return _use_open(queue, what)


def _use_open(queue: Queue, what: str) -> tuple[str, list[str]]:
    ending = "worked"
    problems = []
    for name, step in (
        ("doctor", queue.doctor),
        ("list", lambda: queue.rows(View(), limit=500)),
        ("counts", queue.counts),
        ("queues", queue.queues),
        ("attempts", lambda: queue.attempts(1)),
        ("history", lambda: queue.history(1)),
        ("enqueue", lambda: queue.enqueue("true")),
        ("purge", lambda: queue.purge(View(states=(State.DEAD,)))),
        ("undo", queue.undo),
        ("metrics", lambda: queue.metrics(3600)),
        ("worker", lambda: _start_and_stop(queue)),
        ("backup", lambda: queue.backup(queue.path + ".copy")),
    ):
        try:
            step()
        except QueueError as error:
            ending = f"refused in use: {type(error).__name__}" if ending == "worked" else ending
        except Exception as error:
            problems.append(f"{what}: {name} raised {error!r}")
    return ending, problems


def _start_and_stop(queue: Queue) -> None:
    queue.pause()
    Worker(queue, once=True).run()


def _digests(case: str) -> dict[str, str]:
    digests = {}
    for name in _FILES:
        path = os.path.join(case, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                digests[name] = hashlib.sha256(file.read()).hexdigest()
    return digests
