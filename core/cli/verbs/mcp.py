"""``queuectl mcp``: the queue as tools for an agent, on stdin and stdout; the package behind it is an extra."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from types import FrameType

from core.cli.context import Session
from core.cli.embedded_worker import EmbeddedWorker
from core.cli.exit_codes import DONE, Refused
from core.cli.number_options import whole_number
from core.cli.parser import Parser
from core.errors import UsageError
from core.interrupt import end_at_once
from core.rules.job_input import check_queue


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("--read-only", action="store_true", help="only tools that look: add, stop and repeat nothing")
    parser.add_argument("--queue", metavar="QUEUE", help="add, stop and repeat jobs of this queue alone")
    parser.add_argument(
        "-c",
        "--concurrency",
        dest="slots",
        metavar="N",
        type=whole_number("--concurrency", 2, 0, 1024),
        default=0,
        help="also run up to N jobs at once while it lives (default: 0, a worker elsewhere runs them)",
    )
    parser.description = (
        "Serve the Model Context Protocol on stdin and stdout, and never on a port: eight tools with which an agent "
        "looks at jobs, waits for them, adds, cancels and retries them. Jobs run as you, outside any sandbox of the "
        "agent: use --read-only where that is not meant. At the end of stdin its running jobs go on; the next worker "
        "takes them over. Needs the extra: pipx inject queuectl-tui mcp."
    )
    parser.examples(
        "claude mcp add queue -- queuectl mcp --queue agent -c 2",
        "queuectl mcp --read-only",
    )


def run(session: Session, options: Namespace) -> int:
    """Serve until stdin ends."""
    if options.read_only and (options.slots or options.queue):
        raise UsageError("--read-only goes without --concurrency and --queue: it changes nothing")
    only = None if options.queue is None else check_queue(options.queue)
    if sys.stdin is None:
        raise UsageError("there is no standard input to serve on")
    try:
        from queuectl_mcp.server import Server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("core", "queuectl_mcp"):
            raise
        raise Refused("queuectl mcp needs its extra; pipx inject queuectl-tui mcp") from error
    queue = session.queue(create=not options.read_only)
    with EmbeddedWorker(queue, slots=options.slots, queues=() if only is None else (only,)) as worker:
        if options.slots:
            worker.start()
        _end_on_interrupt(worker)
        Server(queue, only=only, is_read_only=options.read_only).run()
    return DONE


def _end_on_interrupt(worker: EmbeddedWorker) -> None:
    """Let SIGINT end the process like the end of stdin, unless it is ignored.

    Raised as an exception it would wait for ever for the thread that reads stdin.
    """

    def end(number: int, frame: FrameType | None) -> None:
        worker.detach()
        end_at_once(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
