"""A worker that lives under limits (``ulimit``): what they end is the command, and what they forbid is said."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from core.model import NewJob, Outcome, State
from core.queue import Queue
from tests.execution.at_work import output
from tests.processes import run_python

pytestmark = pytest.mark.long

_WORKER = """
import resource, sys
from core import Queue, Worker
limit = int(sys.argv[3])
if sys.argv[2] == "RLIMIT_AS":  # on top of what the process has already
    limit += int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(getattr(resource, sys.argv[2]), (limit, limit))
Worker(Queue(sys.argv[1]), slots=2, once=True).run()
"""


def test_a_command_that_writes_too_long_a_file_is_ended_by_its_signal(queue: Queue) -> None:
    """SIGXFSZ, which Python ignores, has its usual meaning for commands; the worker and other jobs go on."""
    too_long, short = queue.enqueue_many(
        [NewJob("head -c 9000000 /dev/zero > big", max_attempts=1), NewJob("head -c 60000 /dev/zero")]
    )
    run_python(_WORKER, queue.path, "RLIMIT_FSIZE", 8_000_000)
    job = queue.job(too_long)
    assert (job.state, job.last_outcome, job.last_signal) == (State.DEAD, Outcome.SIGNALLED, signal.SIGXFSZ)
    assert queue.job(short).state is State.COMPLETED
    assert len(output(queue, short)) == 60_000


def test_an_output_that_is_too_long_a_file_ends_the_command_alone(queue: Queue) -> None:
    """The output is a file as well; what was written of it is kept."""
    job_id = queue.enqueue("head -c 9000000 /dev/zero", max_attempts=1).id
    run_python(_WORKER, queue.path, "RLIMIT_FSIZE", 8_000_000)
    assert queue.job(job_id).last_signal == signal.SIGXFSZ
    assert queue.output(job_id).size() == 8_000_000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read the size of the process from")
def test_a_worker_with_little_memory_of_its_own_runs_many_jobs(queue: Queue) -> None:
    """Outputs are read one by one, and nothing is kept of them."""
    queue.enqueue_many(NewJob("head -c 60000 /dev/zero", max_attempts=1) for _ in range(60))
    run_python(_WORKER, queue.path, "RLIMIT_AS", 48 << 20)
    assert queue.counts().of(State.COMPLETED) == 60


_ADD = """
import os, resource, sys
from core import Queue
from core.errors import QueueError
queue = Queue(sys.argv[1])
most = max(os.stat(sys.argv[1] + suffix).st_size for suffix in ("", "-wal"))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
added = 0
try:
    for _ in range(1000):
        queue.enqueue("echo " + "x" * 1000)
        added += 1
except QueueError as error:
    print(added, error)
"""


def test_a_database_that_may_not_grow_is_said_to_be_under_a_limit(queue: Queue) -> None:
    """Not "disk I/O error"; and what was acknowledged before is there."""
    added, said = run_python(_ADD, queue.path).split(" ", 1)
    assert "raise the limit (ulimit -f)" in said
    assert queue.counts().of(State.PENDING) == int(added)
