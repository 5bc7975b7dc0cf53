"""``queuectl schedule``: jobs that are added again and again."""

from __future__ import annotations

import shlex
from argparse import Namespace
from typing import Any

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.job_options import (
    EDIT_DEFAULTS,
    NEW_DEFAULTS,
    add_job_options,
    add_unset_env,
    edited_variables,
    fields_of_options,
)
from core.cli.parser import Group, Parser
from core.cli.tables import COLOURS, Cell, Column, show_pairs, show_table
from core.clock import to_ms
from core.errors import UsageError
from core.model import NewJob
from core.queue import Queue
from core.rules.occurrences import MISSED, OVERLAP, Recipe, check_cron, explain, next_instants
from core.rules.schedules import REFUSED, Occurrence, ScheduleInfo
from core.rules.units import parse_duration
from core.text import clean_line
from core.wording import local_time, until

#: How many instants and occurrences ``show`` prints.
_NEXT, _LAST = 5, 20
_MISSED_HELP = "instants at which no worker was alive: once (one job for all of them), skip, all"
_OVERLAP_HELP = "while the job before is unfinished: skip, queue (after it), replace (cancel it), allow"


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb == "add":
        parser.add_argument(
            "words",
            metavar="NAME CRON -- COMMAND",
            nargs="*",
            help="its name; when: five fields (minute, hour, day of month, month, weekday) or @hourly, @daily, …, none"
            " with --every; what: one word is a line for the shell, several are a program and its arguments",
        )
        _add_plan(parser.add_group("the schedule"), " (default: once)", " (default: skip, with --missed all queue)")
        add_job_options(parser, NEW_DEFAULTS, without=REFUSED)
        parser.description = (
            "Have a job added again and again while a worker is alive. Of several workers one adds it, once for each "
            "instant. It has the variables QUEUECTL_SCHEDULE and QUEUECTL_DUE_AT."
        )
        parser.examples(
            "queuectl schedule add nightly '0 2 * * *' --tz Europe/Berlin --timeout 1h -- ./backup",
            "queuectl schedule add sync --every 15m --overlap queue -- rsync -a src/ nas:/src",
            "queuectl schedule add report '30 8 * * MON-FRI' --missed skip -- 'make report | mail -s report me'",
        )
    elif verb == "list":
        parser.examples("queuectl schedule list", "queuectl schedule list --json")
    else:
        parser.add_argument("schedule", metavar="NAME", help="which schedule")
        _configure_one(parser, verb)


def _configure_one(parser: Parser, verb: str) -> None:
    if verb == "edit":
        parser.add_argument("--rename", metavar="NAME", help="another name")
        parser.add_argument("--cron", metavar="CRON", help="five fields, as in '0 2 * * *'")
        parser.add_argument("--command", metavar="COMMAND", help="another line for the shell, in the same directory")
        add_unset_env(parser)
        _add_plan(parser.add_group("the schedule"), "", "")
        add_job_options(parser, EDIT_DEFAULTS, without=REFUSED)
        parser.description = "Change a schedule; what no option names stays as it is, its history as well."
        parser.examples(
            "queuectl schedule edit nightly --cron '0 3 * * *'", "queuectl schedule edit nightly --timeout 2h"
        )
    elif verb == "show":
        parser.examples("queuectl schedule show nightly", "queuectl schedule show nightly --json")
    else:
        parser.examples(f"queuectl schedule {verb} nightly")


def _add_plan(group: Group, missed: str, overlap: str) -> None:
    group.add_argument("--every", metavar="TIME", help="a period instead of five fields: 15m, 1h30m; 1s or more")
    group.add_argument("--tz", metavar="ZONE", help="an IANA name such as Europe/Berlin (default: this host's)")
    group.add_argument("--missed", metavar="WHAT", choices=MISSED, help=_MISSED_HELP + missed)
    group.add_argument("--overlap", metavar="WHAT", choices=OVERLAP, help=_OVERLAP_HELP + overlap)


def run(session: Session, options: Namespace) -> int:
    """Add, list, show, change, pause, resume, run or remove schedules."""
    verb = options.command_name.partition(" ")[2]
    queue = session.queue(create=verb == "add")
    if verb == "list":
        _list(session, queue.schedules())
    elif verb == "show":
        _show(session, queue, queue.schedule(options.schedule))
    elif verb == "add":
        _changed(session, _add(session, queue, options), "added")
        session.note_left_out(queue.left_to_worker())
    elif verb == "edit":
        _changed(session, _edit(session, queue, options), "changed")
    elif verb == "run":
        job_id = queue.run_schedule(options.schedule)
        session.done = f"job {job_id} was added"
        if session.is_json:
            from core.cli.json_output import job_object, print_object

            print_object(job_object(queue.job(job_id), session.now()))
        else:
            session.say(f"Job added successfully (ID: {job_id})")
    else:
        _do(session, queue, verb, options.schedule)
    return DONE


def _add(session: Session, queue: Queue, options: Namespace) -> ScheduleInfo:
    words: list[str] = list(options.words)
    if not words:
        raise UsageError("a schedule has a name, as in: queuectl schedule add nightly '0 2 * * *' -- ./backup")
    name, rest = words[0], words[1:]
    is_given = options.every is None or (len(rest) > 1 and _is_cron(rest[0]))
    cron = rest.pop(0) if rest and is_given else None
    if cron is None and options.every is None:
        raise UsageError(f"when is {name} due? write five fields such as '0 2 * * *', or --every 15m")
    if not rest:
        raise UsageError(f"what is {name} to run? as in: queuectl schedule add {name} '0 2 * * *' -- ./backup")
    return queue.add_schedule(
        name,
        NewJob(rest[0] if len(rest) == 1 else shlex.join(rest), **fields_of_options(options, session.now)),
        cron=cron,
        every_s=None if options.every is None else parse_duration(options.every, "--every"),
        zone=options.tz,
        missed=options.missed or "once",
        overlap=options.overlap,
    )


def _is_cron(word: str) -> bool:
    """Return whether a word can only be meant as a cron line: no program is called so."""
    try:
        check_cron(word, "UTC")
    except UsageError:
        return False
    return True


def _edit(session: Session, queue: Queue, options: Namespace) -> ScheduleInfo:
    fields: dict[str, Any] = fields_of_options(options, session.now)
    if options.command is not None:
        fields["command"] = options.command
    every_s = None if options.every is None else parse_duration(options.every, "--every")
    plan = (options.rename, options.cron, every_s, options.tz, options.missed, options.overlap)
    if options.unset_env or fields.get("env"):
        old = queue.schedule(options.schedule).job.env or {}
        owner = f"the schedule {options.schedule}"
        fields["env"] = edited_variables(owner, old, fields.get("env") or {}, options.unset_env or ())
    if not fields and all(value is None for value in plan):
        raise UsageError(f"nothing to change; as in: queuectl schedule edit {options.schedule} --cron '0 3 * * *'")
    new_name, cron, _, zone, missed, overlap = plan
    return queue.edit_schedule(
        options.schedule,
        new_name=new_name,
        cron=cron,
        every_s=every_s,
        zone=zone,
        missed=missed,
        overlap=overlap,
        **fields,
    )


def _do(session: Session, queue: Queue, verb: str, name: str) -> None:
    acts = {
        "pause": (queue.pause_schedule, "paused"),
        "resume": (queue.resume_schedule, "resumed"),
        "remove": (queue.remove_schedule, "removed"),
    }
    act, word = acts[verb]
    act(name)
    if verb == "remove":
        session.done = f"schedule {name} was removed"
        if session.is_json:
            _print(queue.schedules())
        else:
            session.say(f"Schedule {clean_line(name)} removed; jobs that it added stay")
        return
    _changed(session, queue.schedule(name), word)


def _changed(session: Session, info: ScheduleInfo, word: str) -> None:
    session.done = f"schedule {info.name} was {word}"
    if session.is_json:
        _print([info])
    elif info.next_at is None:
        session.say(f"Schedule {clean_line(info.name)} {word}; it adds no jobs until it is resumed")
    else:
        session.say(f"Schedule {clean_line(info.name)} {word}; next at {local_time(info.next_at)}")


def _list(session: Session, infos: list[ScheduleInfo]) -> None:
    if session.is_json:
        _print(infos)
        return
    if not infos:
        session.note("queuectl: no schedules; add one with: queuectl schedule add nightly '0 2 * * *' -- ./backup")
        return
    now = session.now()
    columns = (
        Column("schedule"),
        Column("when"),
        Column("next"),
        Column("last"),
        Column("note"),
        Column("command", is_wide=True),
    )
    rows = [
        (
            info.name,
            info.when,
            Cell("paused", "yellow") if info.next_at is None else until(info.next_at, now),
            _last(info),
            info.note or "",
            info.job.command,
        )
        for info in infos
    ]
    show_table(session, columns, rows)
    _note_workers(session)


def _note_workers(session: Session) -> None:
    if not any(worker.is_alive for worker in session.queue().workers()):
        session.note("queuectl: no worker is alive, and only workers add what is due; start one: queuectl worker")


def _last(info: ScheduleInfo) -> Cell:
    if info.last_job_id is None:
        return Cell("")
    state = "gone" if info.last_state is None else info.last_state.value
    return Cell(f"{info.last_job_id} {state}", COLOURS.get(state, "dim"))


def _show(session: Session, queue: Queue, info: ScheduleInfo) -> None:
    occurrences = queue.occurrences(info.name, _LAST)
    every_ms = None if info.every_s is None else round(info.every_s * 1000)
    stored = queue.storage.schedules.find(info.name)
    recipe = Recipe(info.cron, every_ms, info.zone, stored.anchor_at)
    after = to_ms(session.now())
    coming = [] if info.is_paused else next_instants(recipe, after, _NEXT)
    if session.is_json:
        from core.cli.json_output import flat, plain, print_object

        print_object(
            {
                **_object(info),
                "coming": [plain(_at(instant)) for instant in coming],
                "occurrences": [flat(occurrence) for occurrence in occurrences],
            }
        )
        return
    now = session.now()
    pairs: list[tuple[str, object]] = [
        ("schedule", info.name),
        ("command", info.job.command),
        ("when", f"{info.when} ({explain(recipe)})" if info.cron else info.when),
        ("zone", info.zone),
        ("missed", info.missed),
        ("overlap", info.overlap),
        ("next", Cell("paused", "yellow") if info.next_at is None else until(info.next_at, now)),
        ("last job", None if info.last_job_id is None else _last(info)),
        ("note", None if info.note is None else Cell(info.note, "yellow")),
        ("added", local_time(info.added_at)),
    ]
    show_pairs(session, pairs)
    if coming:
        session.say("\ncoming:")
        for instant in coming:
            session.say(f"  {local_time(_at(instant))}")
    if occurrences:
        session.say("")
        show_table(session, (Column("due"), Column("job", is_right=True), Column("")), list(map(_row, occurrences)))
    _note_workers(session)


def _row(occurrence: Occurrence) -> tuple[object, ...]:
    job = "-" if occurrence.job_id is None else str(occurrence.job_id)
    return (local_time(occurrence.due_at), job, occurrence.why)


def _at(instant: int) -> Any:
    from core.clock import to_datetime

    return to_datetime(instant)


def _print(infos: list[ScheduleInfo]) -> None:
    from core.cli.json_output import print_array

    print_array(map(_object, infos))


def _object(info: ScheduleInfo) -> dict[str, Any]:
    """Return a schedule as an object; its job is one, too, the values of variables that look like secrets masked."""
    from core.cli.json_output import flat, plain
    from core.rules.environment import masked

    job = {
        key: plain(value) for key, value in info.job._asdict().items() if value not in (None, (), "") or key == "env"
    }
    job["env"] = masked(info.job.env or {})
    return {**flat(info._replace(job=NewJob(""))), "job": job}
