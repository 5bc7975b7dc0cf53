"""``queuectl export``: jobs with their attempts and outputs as JSON lines, or as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from collections.abc import Iterator

from core.cli import export_lines
from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.job_selection import add_filter_options, pages_of, searched, take_state_word, view_of
from core.cli.json_output import print_object
from core.cli.parser import Parser
from core.errors import UsageError
from core.model import Attempt, Dependency, Sort, View
from core.output import INLINE_BYTES, Output
from core.queue import Queue
from core.records import JobRecord
from core.rules.units import parse_size


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    parser.add_argument("word", metavar="STATE", nargs="?", help="a state; without one all but purged jobs")
    add_filter_options(parser)
    parser.add_argument(
        "--outputs",
        metavar="SIZE",
        help="the end of each attempt's output, up to this much; none, or all of it (default: 64K)",
    )
    parser.add_argument("--csv", action="store_true", help="a table for a spreadsheet, without outputs and variables")
    parser.add_argument("--with-secrets", action="store_true", help="do not mask variables that look like secrets")
    parser.description = (
        "Write jobs to stdout as JSON lines: a header, then each job by number with its attempts and their outputs, "
        "each environment once before the first job that has it. A running job is written as pending. Commands and "
        "outputs are written as they are. To keep a whole queue use backup."
    )
    parser.examples(
        "queuectl export > jobs.jsonl",
        "queuectl export dead --outputs 4K | jq 'select(.type == \"job\") | .command'",
        "queuectl export --csv --grep 'age:<7d' > week.csv",
    )


def run(session: Session, options: Namespace) -> int:
    """Write the jobs that were asked for, all as they stood at one moment."""
    take_state_word(options)
    most = _size_of(options.outputs)
    selected = view_of(options)._replace(sort=Sort.ID)
    queue = session.queue()
    with queue.snapshot():
        view = searched(session, queue, selected)
        if options.csv:
            _check_csv(session, options)
            _write_csv(queue, view)
        else:
            _write_lines(session, queue, view, most, has_secrets=options.with_secrets)
    return DONE


def _size_of(text: str | None) -> int | None:
    """Return how many bytes of an output ``--outputs`` asks for, ``None`` for all."""
    word = (text or "").strip().lower()
    if word == "all":
        return None
    return 0 if word == "none" else INLINE_BYTES if text is None else parse_size(text, "--outputs")


def _check_csv(session: Session, options: Namespace) -> None:
    if options.outputs is not None or options.with_secrets or session.is_json:
        raise UsageError("a CSV file has no outputs, no variables and no JSON; leave --csv or the other option out")


def _records(queue: Queue, view: View) -> Iterator[list[JobRecord]]:
    return (queue.records(page) for page in pages_of(queue, view))


def _write_csv(queue: Queue, view: View) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(export_lines.CSV_COLUMNS)
    for page in _records(queue, view):
        writer.writerows(export_lines.csv_cells(export_lines.settled(record)) for record in page)


def _write_lines(session: Session, queue: Queue, view: View, most: int | None, *, has_secrets: bool) -> None:
    print_object(export_lines.header(session.now(), has_secrets=has_secrets))
    written: set[int] = set()
    gone = 0
    for page in _records(queue, view):
        new = {record.environment_id for record in page} - written
        written |= new
        for stored in queue.environments(sorted(new)):
            print_object(export_lines.environment(stored, has_secrets=has_secrets))
        edges: dict[int, list[Dependency]] = {record.job.id: [] for record in page}
        for edge in queue.edges_of(edges):
            edges[edge.job_id].append(edge)
        for record in page:
            attempts = [
                export_lines.attempt(one, _output_of(queue, one, most), most)
                for one in record.attempts
                if one.ended_at is not None
            ]
            gone += sum(one["output"] is None and one["output_cut"] > 0 for one in attempts)
            print_object(export_lines.job(record, attempts, edges[record.job.id], has_secrets=has_secrets))
    if gone and most != 0:
        session.note(f"queuectl: note: outputs that are gone, and so not in the export: {gone:,}")


def _output_of(queue: Queue, attempt: Attempt, most: int | None) -> Output | None:
    """Return the output of an ended attempt; ``None`` where nothing of it is wanted."""
    return None if most == 0 else queue.output_of(attempt)
