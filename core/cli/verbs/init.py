"""``queuectl init``: make the database of a queue, a file or the tables on a server, and say what is there."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.errors import DatabaseMissing, UsageError


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.description = (
        "Make the database of a queue: a file, or the tables in a database on a PostgreSQL server. One that is there"
        " already stays as it is, but for a schema that is older than this version: that is brought up to date."
        " Other commands do this by themselves where they add jobs or run them."
    )
    parser.add_argument(
        "address", metavar="ADDRESS", nargs="?", help="a path or postgresql://…; as --db, and in its place"
    )
    parser.add_argument(
        "--roles",
        action="store_true",
        help="on a server: also make the roles queuectl_work (all but this) and queuectl_enqueue (add jobs, no more),"
        " for an administrator to grant to others",
    )
    parser.examples(
        "queuectl init",
        "queuectl init ~/jobs.db",
        "queuectl init postgresql://queuectl@db.example.org/queuectl",
        "QUEUECTL_DB=postgresql:///queuectl queuectl init",
        "queuectl init --roles postgresql://postgres@db.example.org/queuectl",
    )


def run(session: Session, options: Namespace) -> int:
    """Make what is missing; print the address."""
    if options.address is not None and options.db is not None:
        raise UsageError("ADDRESS and --db name the same thing; leave out one of them")
    session.use_database(options.address or session.named_address())
    is_new = False
    try:
        session.queue()
    except DatabaseMissing:
        session.queue(create=True)
        is_new = True
    session.done = f"{session.database_name()} was made" if is_new else ""
    roles = session.queue().make_roles() if options.roles else ()
    if session.is_json:
        from core.cli.json_output import print_object

        print_object({"database": session.database_name(), "is_new": is_new, "roles": list(roles)})
        return DONE
    what = "Made a queue" if is_new else "There is a queue already"
    session.say(f"{what}: {session.database_name()}")
    if roles:
        session.say(f"Roles: {', '.join(roles)}; grant one to a user with: GRANT {roles[0]} TO name")
    return DONE
