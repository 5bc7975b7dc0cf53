"""``queuectl host``: the hosts that share a database on a server."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.tables import Cell, Column, show_table
from core.errors import Refused
from core.model import HostInfo
from core.storage.host_contract import Hosts
from core.wording import ago, count, took


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb == "forget":
        number = whole_number("the number of a host", 3, 1)
        parser.add_argument("host", metavar="ID", type=number, help="which host, by its number in 'queuectl host list'")
        parser.examples("queuectl host forget 3")
    elif verb == "keep":
        parser.examples("queuectl host keep")
    else:
        parser.examples("queuectl host list", "queuectl host list --json")


def run(session: Session, options: Namespace) -> int:
    """List the hosts, give one up, or keep this one's lease."""
    verb = options.command_name.partition(" ")[2]
    queue = session.queue()
    hosts = queue.storage.workers.hosts
    if hosts is None:
        raise Refused(f"{queue.path} is a file, used by this host alone; hosts share a database on a server")
    if verb == "keep":
        from core.execution.keeper import keep

        if not keep(queue):
            session.note("queuectl: this host has a keeper already")
    elif verb == "forget":
        hosts.forget(options.host)
        session.done = f"Host {options.host} was given up; its running jobs start again on others"
        session.say(session.done)
    else:
        _list(session, hosts)
    return DONE


def _list(session: Session, hosts: Hosts) -> None:
    found = hosts.hosts()
    if session.is_json:
        from core.cli.json_output import flat, print_array

        print_array(flat(host) for host in found)
    elif not found:
        session.note("queuectl: no host is at work; start a worker on one with 'queuectl worker'")
    else:
        _show(session, found)


def _show(session: Session, hosts: Sequence[HostInfo]) -> None:
    now = session.now()
    columns = (
        Column("host", is_right=True),
        Column("name", is_wide=True),
        Column("state"),
        Column("workers", is_right=True),
        Column("running", is_right=True),
        Column("lease", is_right=True),
        Column("joined", is_right=True),
    )
    rows = [
        (
            str(host.id),
            f"{host.name} (this one)" if host.is_here else host.name,
            _state(host),
            str(host.workers),
            str(host.running),
            took(host.lease_s),
            ago(host.joined_at, now),
        )
        for host in hosts
    ]
    show_table(session, columns, rows)
    silent = [host for host in hosts if host.is_live and host.silent_s > host.lease_s]
    for host in silent:
        session.note(
            f"queuectl: host {host.id} ({host.name}) has been silent for {took(host.silent_s)};"
            f" if it is gone for good: queuectl host forget {host.id} ({count(host.running, 'job')} would run again)"
        )
    for host in hosts:
        if not host.is_live and host.running:
            session.note(
                f"queuectl: host {host.id} ({host.name}) was given up, and {count(host.running, 'job')} with"
                f" on-lost-host hold wait for it; to run them again: queuectl host forget {host.id}"
            )


def _state(host: HostInfo) -> Cell:
    if not host.is_live:
        return Cell("given up", "red")
    if host.silent_s > host.lease_s / 3:
        return Cell(f"silent {took(host.silent_s)}", "yellow")
    return Cell("live", "green")
