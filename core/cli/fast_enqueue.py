"""``queuectl enqueue [-q] COMMAND`` without argparse: scripts call it thousands of times.

Output and exit code are those of ``core.cli.verbs.enqueue``; a test runs both ways and compares.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_QUIET = ("-q", "--quiet")


def is_plain_enqueue(arguments: Sequence[str]) -> bool:
    """Return whether a command line is ``enqueue [-q] COMMAND`` where the command is a line for the shell."""
    if (
        not 2 <= len(arguments) <= 3
        or arguments[0] != "enqueue"
        or (len(arguments) == 3 and arguments[1] not in _QUIET)
    ):
        return False
    command = arguments[-1].lstrip()
    return bool(command) and command[0] not in "-{["


def enqueue(arguments: Sequence[str]) -> int:
    """Add the job of a plain command line, print its number and return the exit code."""
    from core.cli.context import Session

    with Session(None, is_json=False, color="auto") as session:
        job_id, left_out = _add(session.named_address(), arguments[-1])
        session.done = f"job {job_id} was added"
        if len(arguments) == 3:
            session.say(str(job_id))
        else:
            session.say(f"Job added successfully (ID: {job_id})")
            session.note_left_out(left_out)
        session.flush()
    return 0


def _add(address: str, command: str) -> tuple[int, Sequence[str]]:
    """Store a job that is a command and nothing else; return its id, and the names of variables left to its worker.

    As ``Queue.add`` does it, with one reading of the settings, and without loading what the other verbs need.
    """
    from core.interrupt import has_started
    from core.rules.job_input import check_plain
    from core.rules.settings import Settings
    from core.storage.open import open_storage
    from core.surroundings import captured_environment, working_directory

    has_started()
    storage = open_storage(address)
    try:
        settings = Settings(storage.settings.stored())
        storage.set_busy_timeout(settings.number("busy-timeout"))
        captured = captured_environment(settings)
        row = check_plain(command, settings, working_directory())
        return storage.new_jobs.add(row, captured), captured.left_out
    finally:
        storage.close()
