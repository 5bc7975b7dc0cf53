"""``queuectl worker stop``: ask workers to stop, from anywhere."""

from __future__ import annotations

import time
from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE, TIMED_OUT, Refused
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.errors import WorkerNotFound
from core.model import WorkerInfo
from core.queue import Queue
from core.rules.units import parse_duration
from core.wording import count


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="ID", nargs="*", help="workers, as 'worker list' numbers them (default: all)")
    parser.add_argument(
        "--now", action="store_true", help="end their running jobs (TERM, then KILL); they run again later"
    )
    parser.add_argument("--timeout", metavar="TIME", help="stop waiting after this long; the workers go on stopping")
    parser.examples("queuectl worker stop", "queuectl worker stop 3 --now --timeout 30s")


def run(session: Session, options: Namespace) -> int:
    """Request the stop of the workers, and wait until they have ended."""
    limit_s = None if options.timeout is None else parse_duration(options.timeout, "timeout")
    queue = session.queue()
    chosen = _chosen(queue, options.words)
    for worker in chosen:
        try:
            queue.stop_worker(worker.id, now=options.now)
        except WorkerNotFound:
            continue  # it has just ended by itself
        session.done = f"{'worker' if len(chosen) == 1 else 'workers'} asked to stop"
        if not session.is_json:
            running = f", which has {count(worker.running, 'running job')}" if worker.running else ""
            verb = "ends them" if options.now else "waits for them"
            session.note(
                f"queuectl: waiting for worker {worker.id} (pid {worker.pid}){running}"
                + (f" and {verb}" if worker.running else "")
            )
    left = _wait(session, queue, {worker.id for worker in chosen}, limit_s)
    if session.is_json:
        from core.cli.json_output import print_array

        print_array({"id": worker.id, "pid": worker.pid, "is_stopped": worker.id not in left} for worker in chosen)
    else:
        for worker in chosen:
            session.say(f"Worker {worker.id} {'is still stopping' if worker.id in left else 'stopped'}")
    return TIMED_OUT if left else DONE


def _chosen(queue: Queue, words: list[str]) -> list[WorkerInfo]:
    known = {worker.id: worker for worker in queue.workers()}
    if not words:
        alive = [worker for worker in known.values() if worker.is_alive]
        if not alive:
            raise Refused("no worker is alive")
        return alive
    chosen = []
    for word in dict.fromkeys(words):
        worker_id = whole_number("a worker's number, as 'worker list' shows it,", 3, 1)(word)
        worker = known.get(worker_id)
        if worker is None:
            raise WorkerNotFound(worker_id)
        if not worker.is_alive:
            raise Refused(f"worker {word} is dead; the next worker takes over its jobs")
        chosen.append(worker)
    return chosen


def _wait(session: Session, queue: Queue, ids: set[int], limit_s: float | None) -> set[int]:
    """Wait until none of the workers is alive; return those that still are when the time is up."""
    until_s = None if limit_s is None else session.monotonic_s() + limit_s
    while True:
        ids &= {worker.id for worker in queue.workers() if worker.is_alive}
        if not ids or (until_s is not None and session.monotonic_s() >= until_s):
            return ids
        time.sleep(0.05)
