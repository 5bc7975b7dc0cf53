"""``queuectl enqueue``: add one job from the command line, or many from a stream."""

from __future__ import annotations

from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.job_options import add_job_options, fields_of_new
from core.cli.parser import Parser
from core.errors import UsageError
from core.model import NewJob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from core.model import JobRef
    from core.queue import Queue


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument(
        "words",
        metavar="COMMAND",
        nargs="*",
        help="one word is a line for the shell (or a JSON object whose keys are the options' names, or an array of"
        " them); several are a program and its arguments, whatever they look like",
    )
    parser.add_argument("--command", metavar="COMMAND", help="the line for the shell, as other queues take it")
    parser.add_argument("--stdin", action="store_true", help="add a job for each line of the standard input")
    parser.add_argument("--file", metavar="FILE", help="add a job for each line of a file")
    parser.add_argument("--null", action="store_true", help="the lines end with a NUL character")
    parser.add_argument(
        "--chain", action="store_true", help="of several jobs each waits until the one before it has completed"
    )
    parser.add_argument(
        "--then",
        metavar="COMMAND",
        help="one more job, once all of the batch have ended, dead ones too: --then 'mail -s done me </dev/null'",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print the id and nothing else")
    add_job_options(parser)
    parser.description = (
        "Add jobs. Once their numbers are printed they are safely on disk; a batch is added as a whole or not at all. "
        "Options go before the command: from its first word on all words belong to the program."
    )
    parser.examples(
        'queuectl enqueue "make test > log.txt"',
        "queuectl enqueue --timeout 5m --label nightly rsync -a 'My Files' /backup",
        """queuectl enqueue '{"command": "./import.sh", "id": "import", "max-attempts": 5}'""",
        "queuectl enqueue --after build,12 --after-end cleanup -- ./deploy",
        "queuectl enqueue --stdin --timeout 1h < commands.txt",
        "queuectl enqueue --stdin --chain --then ./report < steps",
        """queuectl enqueue '[{"command": "make", "ref": "b"}, {"command": "./test", "after": ["b"]}]'""",
    )


def run(session: Session, options: Namespace) -> int:
    """Add what was asked for and print the ids."""
    if options.stdin or options.file is not None:
        from core.cli.enqueue_batch import add_lines

        return add_lines(session, options)
    if options.null:
        raise UsageError("-0 goes with --stdin or --file")
    if _is_array(options.words):
        from core.cli.enqueue_batch import add_array

        return add_array(session, options)
    if options.chain or options.then is not None:
        raise UsageError("--chain and --then go with --stdin, --file or a JSON array; for one job: --after JOB")
    job = new_job_of_options(session, options)
    queue = session.queue(create=True)
    job_id = queue.add(job)
    session.done = f"job {job_id} was added"
    if session.is_json:
        from core.cli.json_output import job_object, print_object

        print_object(job_object(queue.job(job_id), session.now()))
    else:
        session.say(str(job_id) if options.quiet else f"Job added successfully (ID: {job_id})")
    if job.cwd is not None:
        note_missing_directories(session, [job.cwd])
    if job.after:
        note_dead(session, queue, job.after)
    if not options.quiet:
        session.note_left_out(queue.left_to_worker())
    return DONE


def _is_array(words: list[str]) -> bool:
    if len(words) != 1 or words[0].lstrip()[:1] != "[":
        return False
    from core.cli.batch_input import is_array

    return is_array(words[0])


def new_job_of_options(session: Session, options: Namespace, **defaults: Any) -> NewJob:
    """Return the job of a command line: its words are a shell line, a JSON object, or a program and its arguments."""
    fields = {**defaults, **fields_of_new(options, session.now_for_new)}
    words: list[str] = options.words
    if vars(options).get("command") is not None:
        if words:
            raise UsageError("give the command behind the options or as --command, only one of them")
        words = [options.command]
    if not words:
        raise UsageError(
            f"nothing to {options.command_name}; give a command, as in: queuectl {options.command_name} 'sleep 5'"
        )
    if len(words) > 1:
        import shlex

        return NewJob(shlex.join(words), **fields)
    if words[0].lstrip()[:1] in ("{", "["):
        from core.cli.batch_input import new_job_of_text

        return new_job_of_text(words[0], fields, session.now_for_new)
    return NewJob(words[0], **fields)


def note_dead(session: Session, queue: Queue, references: Iterable[JobRef]) -> None:
    """Note on stderr which of the jobs that new ones wait for are dead: they do not complete by themselves."""
    from core.model import State
    from core.wording import title

    for reference in references:
        needed = queue.job(reference)
        if needed.state is State.DEAD:
            advice = f"mend it and replay it: queuectl retry {needed.id}"
            session.note(f"queuectl: note: {title(needed)} is dead; what waits for it runs once it completes; {advice}")


def note_missing_directories(session: Session, directories: Iterable[str]) -> None:
    """Note on stderr which directories of new jobs are not there: they may be when the jobs start, or never."""
    import os

    for directory in directories:
        path = os.path.abspath(os.path.expanduser(directory))
        if not os.path.isdir(path):
            what = "is not a directory" if os.path.lexists(path) else "does not exist"
            session.note(f"queuectl: note: {path} {what}; if that is so when the job starts, it fails")
