"""A process that is forked off while a worker runs has no part in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.execution.worker import Worker
from core.model import State
from core.queue import Queue
from tests.processes import python, run_python, wait_for

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only /proc shows what a process has open")

_FORK_BESIDE_A_WORKER = """
import os, signal, sys
from core import Queue, StopMode, Worker
queue = Queue(sys.argv[1])
worker = Worker(queue)
worker.start()
if os.fork() == 0:
    locks = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    print(worker.is_alive, worker.join(0), [path for path in locks if path.endswith(".lock")], flush=True)
    worker.stop(StopMode.NOW)
    print(queue.add("true"), flush=True)
    sys.stdin.readline()
else:
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_proc
def test_a_dead_worker_is_dead_though_a_fork_of_its_process_lives(tmp_path: Path) -> None:
    """The child holds no lock of the worker's, knows that it has no worker, and cannot stop the parent's."""
    path = tmp_path / "queue.db"
    with python(_FORK_BESIDE_A_WORKER, path) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "False True []\n"
        assert process.stdout.readline() == "1\n"
        with Queue(path) as queue:
            wait_for(lambda: queue.job(1).state is State.COMPLETED, "the parent's worker goes on")
            assert [worker.is_alive for worker in queue.workers()] == [True]
            process.stdin.write("\n")  # whoever reads it: the parent dies, or the child ends first
            process.stdin.flush()
            process.kill()
            wait_for(lambda: [worker.is_alive for worker in queue.workers()] == [False], "the worker is dead")
        process.stdin.close()


_FORK_IN_A_LISTENER = """
import os, sys
from core import Queue, Worker
from core.execution.events import AttemptEnded
queue = Queue(sys.argv[1])
queue.add("true"), queue.add("true")
children = []
def listen(event):
    if isinstance(event, AttemptEnded) and not children:
        children.append(os.fork())
try:
    Worker(queue, drain=True, on_event=listen).run()
finally:
    if children[0] == 0:
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""


def test_a_fork_does_not_go_on_as_the_worker(tmp_path: Path) -> None:
    """A listener forks and returns in both processes: the child's loop ends without touching what is the parent's."""
    path = tmp_path / "queue.db"
    assert run_python(_FORK_IN_A_LISTENER, path) == "7\n"
    with Queue(path) as queue:
        assert [queue.job(number).state for number in (1, 2)] == [State.COMPLETED] * 2
        assert queue.workers() == []


def test_a_worker_goes_on_while_its_process_forks(tmp_path: Path) -> None:
    """Its connection is closed under it for each fork, between two transactions of its."""
    program = """
import os, sys
from core import NewJob, Queue, Worker
queue = Queue(sys.argv[1])
queue.enqueue_many([NewJob("true")] * 60)
worker = Worker(queue, slots=2, drain=True)
worker.start()
while not worker.join(0.01):
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
print(worker.error)
"""
    path = tmp_path / "queue.db"
    assert run_python(program, path) == "None\n"
    with Queue(path) as queue:
        assert queue.counts().of(State.COMPLETED) == 60


def test_a_worker_of_a_closed_queue_leaves(queue: Queue) -> None:
    """It can record nothing any more; what it runs is for the next one."""
    worker = Worker(queue)
    worker.start()
    queue.close()
    assert worker.join(60)
    assert "was closed" in str(worker.error)
