"""``queuectl queue``: the named queues, their pause flags, their limits, and what a lost host is to them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.tables import Cell, Column, show_table
from core.errors import QueueNotFound
from core.model import ENDED_STATES, OPEN_STATES, QueueInfo, State
from core.queue import Queue
from core.rules.job_fields import LOST_HOST_CHOICES
from core.rules.job_input import MAX_LIMIT
from core.text import clean_line
from core.wording import rate

_SHOWN = (*OPEN_STATES, *ENDED_STATES)


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb in ("pause", "resume"):
        parser.add_argument("words", metavar="QUEUE", nargs="*", help="which queues (default: everything)")
        parser.examples(f"queuectl queue {verb} media", f"queuectl queue {verb}")
    elif verb == "limit":
        parser.add_argument("queue", metavar="QUEUE", help="which queue")
        parser.add_argument("limit", metavar="N", help="jobs at once, over all workers; none lifts the limit")
        parser.examples("queuectl queue limit media 2", "queuectl queue limit media none")
    elif verb == "on-lost-host":
        parser.add_argument("queue", metavar="QUEUE", help="which queue")
        parser.add_argument(
            "choice",
            metavar="WHAT",
            choices=LOST_HOST_CHOICES,
            help="rerun its jobs elsewhere when their host is given up, or hold them until 'host forget'",
        )
        parser.examples("queuectl queue on-lost-host media hold", "queuectl queue on-lost-host media rerun")
    else:
        parser.examples("queuectl queue list", "queuectl queue list --json")


def run(session: Session, options: Namespace) -> int:
    """List, pause, resume or limit queues, or say what a lost host is to them."""
    verb = options.command_name.partition(" ")[2]
    queue = session.queue(create=verb != "list")
    if verb == "list":
        return _list(session, queue)
    if verb == "limit":
        limit = _limit(options.limit)
        queue.limit(options.queue, limit)
        names = [options.queue]
        done = f"Queue {options.queue}: " + ("no limit" if limit is None else f"at most {limit} at once")
    elif verb == "on-lost-host":
        queue.set_on_lost_host(options.queue, options.choice)
        names = [options.queue]
        done = f"Queue {options.queue}: on a lost host {options.choice}"
    else:
        names = list(dict.fromkeys(options.words))
        _set_paused(session, queue, names, is_paused=verb == "pause")
        done = f"{', '.join(names) or 'Everything'} {'paused' if verb == 'pause' else 'resumed'}"
        if names:
            done = f"Queue {done}" if len(names) == 1 else f"Queues {done}"
    session.done = done
    if session.is_json:
        _print_json(queue, names)
    else:
        session.say(clean_line(done))
        if verb == "resume" and names and queue.is_paused():
            session.note("queuectl: everything is paused too; 'queuectl queue resume' lifts that")
    return DONE


def _set_paused(session: Session, queue: Queue, names: Sequence[str], *, is_paused: bool) -> None:
    known = {info.name for info in queue.queues()}
    for name in names:
        if name not in known and not is_paused:
            raise QueueNotFound(name)
    change = queue.pause if is_paused else queue.resume
    for name in names:
        change(name)
        if name not in known:
            session.note(f"queuectl: queue {clean_line(name)} has no jobs yet; those to come will wait")
    if not names:
        change()


def _limit(text: str) -> int | None:
    if text.lower() in ("none", "-"):
        return None
    return whole_number("a limit", 4, 0, MAX_LIMIT)(text)


def _list(session: Session, queue: Queue) -> int:
    if session.is_json:
        _print_json(queue, None)
        return DONE
    infos = queue.queues()
    if infos:
        show_queues(session, infos, queue.queue_rates())
    else:
        session.note("queuectl: no queues yet; the first job makes one")
    if queue.is_paused():
        session.note("queuectl: everything is paused; 'queuectl queue resume' goes on")
    for name in (clean_line(info.name) for info in infos if info.on_lost_host == "hold"):
        session.note(
            f"queuectl: jobs of {name} wait for a lost host; 'queuectl queue on-lost-host {name} rerun' ends that"
        )
    return DONE


def show_queues(session: Session, infos: Sequence[QueueInfo], rates: Mapping[str, float]) -> None:
    """Print a table of queues; ``rates`` are jobs ended a second, by name."""
    columns = (
        Column("queue"),
        Column("state"),
        Column("limit", is_right=True),
        *(Column(state.value, is_right=True) for state in _SHOWN),
        Column("rate", is_right=True),
    )
    rows = [
        (
            info.name,
            Cell("paused", "yellow") if info.is_paused else Cell("open", "green"),
            "-" if info.limit is None else str(info.limit),
            *(info.counts.get(state, 0) for state in _SHOWN),
            rate(rates.get(info.name, 0.0)),
        )
        for info in infos
    ]
    show_table(session, columns, rows)


def _print_json(queue: Queue, names: Sequence[str] | None) -> None:
    from core.cli.json_output import print_array

    rates = queue.queue_rates()
    print_array(
        {
            "name": info.name,
            "is_paused": info.is_paused,
            "limit": info.limit,
            "on_lost_host": info.on_lost_host or "rerun",
            **{state.value: info.counts.get(state, 0) for state in State},
            "delayed": info.delayed,
            "blocked": info.blocked,
            "per_s": round(rates.get(info.name, 0.0), 3),
        }
        for info in queue.queues()
        if not names or info.name in names
    )
