"""``make demo-hosts``: three hosts share the work, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from core.model import State, View
from core.queue import Queue
from tests import demo_hosts
from tests.processes import wait_for

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="what was started is found in /proc"),
]


def test_three_hosts_run_the_jobs_of_one_queue() -> None:
    """Each completes some, with a spool of its own; afterwards neither files nor processes are there."""
    seen: list[Path] = []

    def look(address: str) -> int:
        seen.append(Path(parse_qs(urlsplit(address).query)["host"][0]).parent)

        def hosts() -> set[int]:
            with Queue(address) as queue:
                workers = {worker.id for worker in queue.workers() if worker.slots}
                done = queue.jobs(View((State.COMPLETED,)))
                return workers & {queue.attempts(job.id)[-1].worker_id for job in done}

        wait_for(lambda: len(hosts()) == len(demo_hosts.HOSTS), "each worker has completed a job")
        assert {entry.name for entry in seen[0].iterdir()} >= set(demo_hosts.HOSTS)
        return 5

    assert demo_hosts.run(look) == 5
    assert not seen[0].exists()
