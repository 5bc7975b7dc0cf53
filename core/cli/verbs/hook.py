"""``queuectl hook``: commands that run as jobs when a job completes or dies, or a queue is drained."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.cli.tables import Column, show_table
from core.errors import UsageError
from core.queue import Queue
from core.rules.hook_events import MOST_EVERY_S, Hook
from core.rules.units import format_duration, parse_duration


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb == "add":
        parser.add_argument(
            "words",
            metavar="EVENT -- COMMAND",
            nargs="*",
            help="complete, dead or drained (a queue has nothing left), and what is to run then: one word is a line for"
            " the shell, several are a program and its arguments",
        )
        parser.add_argument("--queue", metavar="QUEUE", help="only for jobs of this queue (default: of all)")
        parser.add_argument(
            "--every",
            metavar="TIME",
            default="60s",
            help="gather events for so long, then run once for all of them; 0 runs for each (default: 60s)",
        )
        parser.add_argument("--cwd", metavar="DIR", help="where it runs (default: here)")
        parser.description = (
            "Have a command run when something ends. It runs as a job in the queue hooks, up to 5 times if it fails, "
            "and reads what happened as JSON lines from its standard input; QUEUECTL_HOOK_COUNT says how many, and "
            "QUEUECTL_SUBJECT_ID, _NAME, _QUEUE, _STATE, _EXIT_CODE and _LAST_WORDS speak of the newest."
        )
        parser.examples(
            "queuectl hook add dead -- mail -s 'jobs died' me",
            "queuectl hook add dead --queue media --every 0 -- ./page.sh",
            "queuectl hook add drained --queue media -- 'echo $QUEUECTL_SUBJECT_QUEUE is done'",
        )
    elif verb == "remove":
        number = whole_number("the number of a hook", 3, 1)
        parser.add_argument("hook", metavar="ID", type=number, help="which hook, by its number in 'queuectl hook list'")
        parser.examples("queuectl hook remove 3")
    else:
        parser.examples("queuectl hook list", "queuectl hook list --json")


def run(session: Session, options: Namespace) -> int:
    """Add, list or remove hooks."""
    verb = options.command_name.partition(" ")[2]
    queue = session.queue(create=verb == "add")
    if verb == "list":
        _list(session, queue.hooks())
    elif verb == "add":
        _add(session, queue, options)
    else:
        queue.remove_hook(options.hook)
        session.done = f"hook {options.hook} was removed"
        if session.is_json:
            _print(queue.hooks())
        else:
            session.say(f"Hook {options.hook} removed; what it has gathered still runs")
    return DONE


def _add(session: Session, queue: Queue, options: Namespace) -> None:
    words: list[str] = options.words
    if len(words) < 2:
        raise UsageError("a hook is an event and a command, as in: queuectl hook add dead -- mail -s 'jobs died' me")
    command = words[1] if len(words) == 2 else shlex.join(words[1:])
    every_s = parse_duration(options.every, "--every", MOST_EVERY_S)
    hook_id = queue.add_hook(words[0], command, queue=options.queue, every_s=every_s, cwd=options.cwd)
    session.done = f"hook {hook_id} was added"
    if session.is_json:
        _print([hook for hook in queue.hooks() if hook.id == hook_id])
    else:
        session.say(f"Hook added (ID: {hook_id})")
    session.note_left_out(queue.left_to_worker())


def _list(session: Session, hooks: Sequence[Hook]) -> None:
    if session.is_json:
        _print(hooks)
        return
    if not hooks:
        session.note("queuectl: no hooks; add one with: queuectl hook add dead -- mail -s 'jobs died' me")
        return
    columns = (
        Column("hook", is_right=True),
        Column("event"),
        Column("queue"),
        Column("every"),
        Column("gathers in", is_right=True),
        Column("command", is_wide=True),
    )
    rows = [
        (
            str(hook.id),
            hook.event.value,
            hook.queue or "all",
            format_duration(hook.every_s) if hook.every_s else "each",
            "" if hook.gathering is None else f"job {hook.gathering}",
            hook.command,
        )
        for hook in hooks
    ]
    show_table(session, columns, rows)


def _print(hooks: Sequence[Hook]) -> None:
    from core.cli.json_output import flat, print_array

    print_array(map(flat, hooks))
