"""``queuectl logs``: what a job wrote."""

from __future__ import annotations

import time
from argparse import Namespace

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.hold_notice import HoldNotice
from core.cli.job_selection import add_filter_options, is_selecting, selected_ids
from core.cli.number_options import whole_number
from core.cli.output_stream import LOOK_S, CleanSink, Follower, RawSink, pump
from core.cli.parser import Parser
from core.cli.patience import Patience
from core.errors import UsageError
from core.model import OPEN_STATES, State
from core.output import Output
from core.queue import Queue
from core.wording import count, ending_words


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("words", metavar="JOB", nargs="*", help="its number or name; with --follow several")
    add_filter_options(parser)
    parser.add_argument(
        "--attempt", metavar="N", type=whole_number("--attempt", 1, 1), help="of this attempt (default: the newest)"
    )
    parser.add_argument("-n", "--lines", metavar="N", type=whole_number("--lines", 20, 1), help="only the last lines")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument(
        "--diff",
        metavar="N",
        nargs="+",
        type=whole_number("--diff", 2, 1),
        help="compare two attempts, as in --diff 2 3; one number: with the attempt before it",
    )
    parser.add_argument(
        "--raw", action="store_true", help="the bytes as they are; by default control codes are removed"
    )
    parser.description = (
        "Show what a job wrote. With --follow also of several jobs, or of a group that waits or runs: each line then"
        " begins with the number of its job."
    )
    parser.examples(
        "queuectl logs 42",
        "queuectl logs -f nightly",
        "queuectl logs -f --queue media",
        "queuectl logs 42 --attempt 1 --raw > output.bin",
        "queuectl logs 42 --diff 2 3",
    )


def run(session: Session, options: Namespace) -> int:
    """Print or follow the output."""
    if options.diff is not None:
        return _compare(session, options)
    if options.follow and session.is_json:
        raise UsageError("--follow and --json exclude each other; leave out one of them")
    if not options.follow and (len(options.words) != 1 or is_selecting(options)):
        raise UsageError("logs which job? give its number or name; with -f several can be followed")
    queue = session.queue()
    ids = selected_ids(session, queue, options, "follow", OPEN_STATES)
    if options.follow:
        return _follow(session, queue, ids[0], options) if len(ids) == 1 else _follow_all(session, queue, ids, options)
    output = queue.output(ids[0], options.attempt)
    if session.is_json:
        _print_json(output, options.lines)
        return DONE
    sink = RawSink() if options.raw else CleanSink(session)
    if options.lines is None:
        pump(output, sink)
    else:
        sink.feed(output.lines(options.lines))
    sink.finish()
    return DONE


def _compare(session: Session, options: Namespace) -> int:
    """Print what is different in the outputs of two attempts."""
    if len(options.diff) > 2 or len(options.words) != 1 or is_selecting(options):
        raise UsageError("--diff compares two attempts; name the job before it, as in: queuectl logs 42 --diff 2 3")
    if options.follow or options.raw or session.is_json or options.lines is not None or options.attempt is not None:
        raise UsageError("--diff goes with none of --follow, --raw, --json, --lines and --attempt; leave them out")
    *before, number = options.diff
    comparison = session.queue().compare_outputs(options.words[0], number, *before)
    endings = [ending_words(attempt) or "running" for attempt in (comparison.before, comparison.after)]
    print(comparison.text(endings, is_coloured=session.has_colour), end="")
    return DONE


def _print_json(output: Output, lines: int | None) -> None:
    from core.cli.json_output import flat, print_object

    data = output.read(0, output.size()) if lines is None else output.lines(lines)
    # bytes that are no UTF-8 become lone surrogates, from which Python's "surrogateescape" makes them again
    print_object({**flat(output.attempt), "output": data.decode("utf-8", "surrogateescape")})


def _follow(session: Session, queue: Queue, job_id: int, options: Namespace) -> int:
    hold_notice = HoldNotice(session, queue)
    if options.attempt is None:
        hold_notice.say_first(job_id)

    def announce(number: int) -> None:
        if number > 1:
            session.note(f"queuectl: attempt {number}")

    sink = RawSink() if options.raw else CleanSink(session)
    follower = Follower(
        queue,
        job_id,
        sink,
        number=options.attempt,
        is_single=options.attempt is not None,
        on_attempt=announce if options.attempt is None else None,
    )
    if options.lines is not None:
        follower.begin_with(options.lines)
    patience = Patience(session, queue)
    while True:
        with patience:
            if follower.step():
                return DONE
            if options.attempt is None:
                hold_notice.look(job_id)
        time.sleep(LOOK_S)


def _follow_all(session: Session, queue: Queue, ids: list[int], options: Namespace) -> int:
    """Follow several jobs until all have ended, each line behind the number of its job."""
    if options.raw or options.attempt is not None:
        raise UsageError("--raw and --attempt are for one job; leave them out, or name one")
    width = len(str(max(ids)))
    session.note(f"queuectl: following {count(len(ids), 'job')}")
    followers = {}
    for job_id in ids:
        followers[job_id] = Follower(queue, job_id, CleanSink(session, f"{job_id:>{width}} | "))
        if options.lines is not None:
            followers[job_id].begin_with(options.lines)
    hold_notice = HoldNotice(session, queue)
    patience = Patience(session, queue)
    while followers:
        with patience:
            for job_id in [job_id for job_id, follower in followers.items() if follower.step()]:
                del followers[job_id]
            if followers and not any(queue.job(job_id).state is State.RUNNING for job_id in followers):
                hold_notice.look(next(iter(followers)))
        if followers:
            time.sleep(LOOK_S)
    return DONE
