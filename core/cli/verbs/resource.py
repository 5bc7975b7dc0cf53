"""``queuectl resource``: what jobs need while they run, how much there is of it, and who has it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.tables import Column, show_table
from core.model import ResourceInfo
from core.queue import Queue
from core.rules.needs import MAX_UNITS, check_resource

#: How many running jobs a line names.
_NAMED = 5


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb == "set":
        parser.add_argument("name", metavar="NAME", help="which resource: a word of a-z, 0-9 and -")
        parser.add_argument("capacity", metavar="N", help="how much there is of it; 0 starts none of its jobs")
        parser.add_argument("--per-host", action="store_true", help="that much on each host that runs jobs")
        parser.examples("queuectl resource set gpu 4", "queuectl resource set scratch 100 --per-host")
    elif verb == "unset":
        parser.add_argument("name", metavar="NAME", help="which resource")
        parser.examples("queuectl resource unset gpu")
    else:
        parser.examples("queuectl resource list", "queuectl resource list --json")


def run(session: Session, options: Namespace) -> int:
    """List resources, or say how much there is of one."""
    verb = options.command_name.partition(" ")[2]
    queue = session.queue(create=verb != "list")
    if verb == "list":
        return _list(session, queue)
    name = check_resource(options.name)
    if verb == "set":
        capacity = whole_number("a capacity", 4, 0, MAX_UNITS)(options.capacity)
        queue.set_resource(name, capacity, is_per_host=options.per_host)
        where = " on each host" if options.per_host else ""
        session.done = f"Resource {name}: {capacity:,}{where}" if capacity else f"Resource {name}: closed"
    else:
        queue.unset_resource(name)
        session.done = f"Resource {name}: not set; there is 1"
    infos = [info for info in queue.resources() if info.name == name]
    if session.is_json:
        _print_json(infos or [ResourceInfo(name, 1, False, False, 0, 0, None, {})])
        return DONE
    session.say(session.done)
    for info in infos:
        if info.in_use > info.capacity and not info.is_per_host:
            session.note(f"queuectl: running jobs have {info.in_use} of it; none starts until there is room")
    return DONE


def _list(session: Session, queue: Queue) -> int:
    infos = queue.resources()
    if session.is_json:
        _print_json(infos)
    elif infos:
        _show(session, infos)
    else:
        session.note("queuectl: no resources yet; 'queuectl resource set NAME N' says how much there is of one")
    return DONE


def _show(session: Session, infos: Sequence[ResourceInfo]) -> None:
    columns = (
        Column("resource"),
        Column("capacity", is_right=True),
        Column("in use", is_right=True),
        Column("waiting", is_right=True),
        Column("who has it", is_wide=True),
    )
    rows = [
        (
            info.name,
            f"{info.capacity:,}{' a host' if info.is_per_host else ''}",
            f"{info.in_use:,}",
            f"{info.waiting:,}",
            _holders(info),
        )
        for info in infos
    ]
    show_table(session, columns, rows)


def _holders(info: ResourceInfo) -> str:
    named = [f"{job_id} ({number})" if number > 1 else str(job_id) for job_id, number in info.holders.items()]
    return ", ".join(named[:_NAMED]) + (", …" if len(named) > _NAMED else "") or "-"


def _print_json(infos: Sequence[ResourceInfo]) -> None:
    from core.cli.json_output import flat, print_array

    print_array(flat(info) for info in infos)
