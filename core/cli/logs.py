"""``queuectl logs``: what a job wrote."""

from __future__ import annotations

import time
from argparse import Namespace

from core.cli.failures import DONE
from core.cli.holding import Holding
from core.cli.numbers import whole_number
from core.cli.parser import Parser
from core.cli.session import Session
from core.cli.showing import LOOK_S, Clean, Follower, Raw, pump
from core.errors import UsageError
from core.output import Output
from core.queue import Queue


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_job()
    parser.add_argument(
        "--attempt", metavar="N", type=whole_number("--attempt", 1, 1), help="of this attempt (default: the newest)"
    )
    parser.add_argument("-n", "--lines", metavar="N", type=whole_number("--lines", 20, 1), help="only the last lines")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument(
        "--raw", action="store_true", help="the bytes as they are; by default control codes are removed"
    )
    parser.examples("queuectl logs 42", "queuectl logs -f nightly", "queuectl logs 42 --attempt 1 --raw > output.bin")


def run(session: Session, options: Namespace) -> int:
    """Print or follow the output."""
    queue = session.queue()
    job = queue.job(options.job)
    if options.follow:
        if session.is_json:
            raise UsageError("--follow and --json exclude each other; leave out one of them")
        return _follow(session, queue, job.id, options)
    output = queue.output(job.id, options.attempt)
    if session.is_json:
        _print_json(output, options.lines)
        return DONE
    sink = Raw() if options.raw else Clean(session)
    if options.lines is None:
        pump(output, sink)
    else:
        sink.feed(output.lines(options.lines))
    sink.finish()
    return DONE


def _print_json(output: Output, lines: int | None) -> None:
    from core.cli.jsonable import flat, print_object

    data = output.read(0, output.size()) if lines is None else output.lines(lines)
    # bytes that are no UTF-8 become lone surrogates, from which Python's "surrogateescape" makes them again
    print_object({**flat(output.attempt), "output": data.decode("utf-8", "surrogateescape")})


def _follow(session: Session, queue: Queue, job_id: int, options: Namespace) -> int:
    holding = Holding(session, queue)
    if options.attempt is None:
        holding.say_first(job_id)

    def announce(number: int) -> None:
        if number > 1:
            session.note(f"queuectl: attempt {number}")

    sink = Raw() if options.raw else Clean(session)
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
    while not follower.step():
        if options.attempt is None:
            holding.look(job_id)
        time.sleep(LOOK_S)
    return DONE
