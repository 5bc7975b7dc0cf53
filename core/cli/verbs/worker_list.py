"""``queuectl worker list``: which workers are alive."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.tables import Cell, Column, show_table
from core.model import Presence, WorkerInfo
from core.wording import ago


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.examples("queuectl worker list", "queuectl worker list --json")


def run(session: Session, options: Namespace) -> int:
    """Print the workers."""
    workers = session.queue().workers()
    if session.is_json:
        from core.cli.json_output import flat, print_array

        print_array(flat(worker) for worker in workers)
    elif not workers:
        session.note("queuectl: no worker is alive; start one with 'queuectl worker'")
    else:
        show_workers(session, workers)
    return DONE


def show_workers(session: Session, workers: list[WorkerInfo]) -> None:
    """Print a table of workers."""
    now = session.now()
    columns = (
        Column("worker", is_right=True),
        Column("state"),
        Column("pid", is_right=True),
        Column("host"),
        Column("running", is_right=True),
        Column("slots", is_right=True),
        Column("started", is_right=True),
        Column("queues", is_wide=True),
    )
    rows = [
        (
            str(worker.id),
            _state(worker),
            str(worker.pid),
            worker.host,
            str(worker.running),
            str(worker.slots),
            ago(worker.started_at, now),
            " ".join(worker.queues) or "all",
        )
        for worker in workers
    ]
    show_table(session, columns, rows)


def _state(worker: WorkerInfo) -> Cell:
    if not worker.is_alive:
        is_dead = worker.presence is Presence.DEAD
        return Cell("dead", "red") if is_dead else Cell("unknown", "yellow")
    return Cell("alive", "green") if worker.stop_requested is None else Cell("stopping", "yellow")
