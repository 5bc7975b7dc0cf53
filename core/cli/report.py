"""Print the result of an act on one job or many, and return the exit code."""

from __future__ import annotations

from collections.abc import Sequence

from core.cli.context import Session
from core.cli.exit_codes import DONE, REFUSED
from core.errors import Refused
from core.model import Act
from core.queue import Queue
from core.wording import count, title

#: Up to so many jobs are named one by one.
_NAMED = 10


def note_done(session: Session, act: Act, done: str) -> None:
    """Set ``session.done`` to what an act changed, and note the jobs that were restored without their name."""
    if act.count:
        session.done = f"{count(act.count, 'job')} {done}"
    if act.unnamed:
        session.note(f"queuectl: {count(act.unnamed, 'job')} restored without the name, which another job has by now")


def report(session: Session, act: Act, done: str, *, hint: str = "") -> int:
    """Print ``3 jobs <done>, 1 skipped``, or JSON, and return ``DONE``; raise ``Refused`` if no job was changed."""
    note_done(session, act, done)
    skipped = f", {act.skipped:,} skipped: their state does not allow it" if act.skipped else ""
    if session.is_json:
        from core.cli.json_output import print_object

        print_object({"verb": act.verb, "act_id": act.id or None, "count": act.count, "skipped": act.skipped})
    elif act.count:
        session.say(f"{count(act.count, 'job')} {done}{skipped}{hint}")
    else:
        raise Refused(f"nothing was changed: no job {done}{skipped}")
    return DONE if act.count else REFUSED


def report_named(session: Session, queue: Queue, act: Act, references: Sequence[str], done: str) -> int:
    """Print ``Job N <done>`` for each of up to ten listed jobs, else as ``report`` does; return the exit code."""
    if session.is_json or act.skipped or len(references) > _NAMED:
        return report(session, act, done)
    note_done(session, act, done)
    for reference in dict.fromkeys(references):
        session.say(f"Job {title(queue.job(reference))} {done}")
    return DONE if act.count else REFUSED
