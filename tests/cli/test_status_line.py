"""``status --format``: one line for status bars, and what it refuses."""

from __future__ import annotations

import pytest

from core.cli.status_line import FIELDS
from core.clock import to_datetime
from core.model import NewJob
from core.queue import Queue
from tests.cli.conftest import Cli, Terminal, drain
from tests.fakes import FakeClock

pytestmark = pytest.mark.each_engine

EVERY_FIELD = " ".join(f"{field}={{{field}}}" for field in FIELDS)


def test_every_field_says_how_many(cli: Cli, open_queue: Queue) -> None:
    """One job that completed, one dead, one cancelled, two ready and three delayed; purged ones are not counted."""
    open_queue.enqueue("true")
    open_queue.enqueue("exit 1", max_attempts=1)
    open_queue.enqueue("true")
    drain(open_queue)
    open_queue.purge(3)
    later = to_datetime(FakeClock().now_ms() + 10**12)
    open_queue.enqueue_many([NewJob("true"), *(NewJob("true", run_at=later) for _ in range(3)), NewJob("true")])
    open_queue.enqueue("true")
    open_queue.cancel(9)
    assert cli.ok("status", "--format", EVERY_FIELD) == (
        "ready=2 pending=5 delayed=3 blocked=0 running=0 completed=1 dead=1 cancelled=1 workers=0 slots=0\n"
    )


def test_living_workers_and_their_slots_are_counted(cli: Cli, terminal: Terminal) -> None:
    """Two workers with five slots in total; one that has ended no longer counts."""
    terminal.worker("-c", "2")
    other = terminal.worker("-c", "3")
    assert cli.ok("status", "--format", "{workers}/{slots}") == "2/5\n"
    other.popen.terminate()
    other.end()
    assert cli.ok("status", "--format", "{workers}/{slots}") == "1/2\n"


def test_doubled_braces_are_braces_and_all_else_is_text(cli: Cli, open_queue: Queue) -> None:
    """Words of a status bar, its colour codes too, come through; so does an empty line."""
    assert cli.ok("status", "--format", "#[fg=red]✗{dead} {{}} %") == "#[fg=red]✗0 {} %\n"
    assert cli.ok("status", "--format", "") == "\n"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{dead} {oops}", "no field {oops}"),
        ("{}", "no field {}"),
        ("{0}", "no field {0}"),
        ("{dead.__class__}", "no field {dead.__class__}"),
        ("{dead[0]}", "no field {dead[0]}"),
        ("{dead!r}", "no field {dead!r}"),
        ("{dead:>9999999999}", "no field {dead:>9999999999}"),
        ("{dead:{slots}}", "no field {dead:{slots}}"),
        ("{", "'{'"),
        ("}", "'}'"),
        ("{dead", "'{dead'"),
    ],
)
def test_what_is_no_field_is_refused_with_the_list_of_them(
    cli: Cli, open_queue: Queue, template: str, words: str
) -> None:
    """Exit code 2 and one line, which says what a brace or a field should be; nothing on stdout."""
    result = cli("status", "--format", template)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert result.err.count("\n") == 1
    assert "{{ or }}" in result.err or ", ".join(FIELDS) in result.err


def test_if_busy_prints_nothing_when_no_job_waits_or_runs(cli: Cli, open_queue: Queue) -> None:
    """Nothing for an empty queue and for finished jobs; the line while a job is pending."""
    assert cli.ok("status", "--if-busy", "--format", "busy") == ""
    open_queue.enqueue("exit 1", max_attempts=1)
    assert cli.ok("status", "--if-busy", "--format", "busy") == "busy\n"
    drain(open_queue)
    assert cli.ok("status", "--if-busy", "--format", "{dead}") == ""
    assert cli.ok("status", "--format", "{dead}") == "1\n"


def test_if_busy_prints_the_line_while_a_job_runs(cli: Cli, terminal: Terminal) -> None:
    """A job that runs is busy, too, with no other that waits."""
    terminal.worker()
    with_output = terminal.start("run", "echo started; sleep 60")
    with_output.until("started")
    assert cli.ok("status", "--if-busy", "--format", "{running} {pending}") == "1 0\n"


@pytest.mark.parametrize("arguments", [("--if-busy",), ("--format", "{dead}", "--json")])
def test_options_that_do_not_go_together_are_refused(cli: Cli, open_queue: Queue, arguments: tuple[str, ...]) -> None:
    """Exit code 2: ``--if-busy`` needs a format, which is no JSON."""
    assert cli("status", *arguments).code == 2
