"""``queuectl enqueue COMMAND`` and no more: scripts call it thousands of times, so it is spared the parser.

What is printed and how it ends is that of ``core.cli.verbs.enqueue``; a test runs both ways and compares.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_QUIET = ("-q", "--quiet")


def is_plain_enqueue(arguments: Sequence[str]) -> bool:
    """Tell whether a command line is ``enqueue [-q] COMMAND`` where the command is a line for the shell."""
    if (
        not 2 <= len(arguments) <= 3
        or arguments[0] != "enqueue"
        or (len(arguments) == 3 and arguments[1] not in _QUIET)
    ):
        return False
    command = arguments[-1].lstrip()
    return bool(command) and command[0] not in "-{["


def enqueue(arguments: Sequence[str]) -> int:
    """Add the job and print its number."""
    from core.cli.context import Session

    with Session(None, is_json=False, color="auto") as session:
        job_id = session.queue(create=True).add(arguments[-1])
        session.done = f"job {job_id} was added"
        if len(arguments) == 3:
            session.say(str(job_id))
        else:
            session.say(f"Job added successfully (ID: {job_id})")
            session.note_left_out()
        session.flush()
    return 0
