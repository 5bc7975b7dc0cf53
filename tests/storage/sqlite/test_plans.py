"""Every statement that the queue runs, and the index that its plan uses."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.clock import to_datetime
from core.execution.recovery import Recovery, strike_dead_workers
from core.model import NewJob, Outcome, Page, Sort, State, Term, View
from core.queue import Queue
from core.rules.filters import parse_filter
from core.rules.hook_events import HookEvent
from core.rules.views import WAITS
from core.storage.sqlite import draining, edges
from core.storage.sqlite.draining import Drain
from tests.fakes import FakeClock
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand, job_in

#: Tables that may hold a million rows.
BIG = ("jobs", "attempts", "history", "later", "dependencies")

#: Statements that may read a whole table, and why that is right.
MAY_SCAN = {
    r"^SELECT .* FROM jobs WHERE state (<>|=|IN) .* ORDER BY id (ASC|DESC) LIMIT": "walks the table by id, to a limit",
    r"^SELECT \(SELECT .* FROM jobs WHERE state (<>|=|IN) .* ORDER BY id (ASC|DESC) LIMIT": "so does a page of it",
    r"^SELECT id FROM jobs WHERE (state|command)": "all ids of a view over several states: as many as the rows",
    r"^SELECT .* FROM jobs WHERE .* ORDER BY (command|COALESCE)": "sorting by command or duration, on request",
    r"^SELECT count\(\*\) FROM jobs WHERE": "counting what a filter leaves, on request",
    r"^WITH counted AS": "doctor compares the counters with the jobs",
    r"^SELECT \(SELECT count\(\*\) FROM jobs LEFT JOIN": "doctor compares what jobs wait for with their edges",
    r"^SELECT id FROM attempts WHERE ended_at IS NOT NULL AND output IS NULL": "backup, doctor: where long outputs are",
    r"^PRAGMA (integrity_check|foreign_key_check)": "doctor reads everything",
}


@dataclass(frozen=True)
class Plan:
    """A statement and the lines of its query plan."""

    sql: str
    lines: tuple[str, ...]

    def scans(self) -> list[str]:
        """Return the lines that read a big table from end to end, partial indexes aside: those are small or wanted."""
        return [
            line
            for line in self.lines
            if (match := re.match(r"SCAN (\w+)(?: USING .*INDEX (\w+))?$", line))
            and match[1] in BIG
            and match[2] not in PARTIAL
        ]


#: Indexes that hold only some of the rows, each in the order that its statements ask for.
PARTIAL = {
    "jobs_claim",
    "jobs_ready",
    "jobs_done",
    "jobs_delayed",
    "jobs_blocked",
    "jobs_running",
    "attempts_open",
    "jobs_lanes",
    "attempts_units",
}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[Plan]:
    """Return every different statement that runs when all of the queue is used, values filled in, with its plan."""
    directory = tmp_path_factory.mktemp("plans")
    seen: list[str] = []
    clock = FakeClock()
    with Queue(directory / "queue.db", clock=clock) as queue, Hand(queue) as hand:
        connection = sqlite_of(queue).connection()
        connection.set_trace_callback(seen.append)
        _use_everything(queue, hand, clock, directory)
        connection.set_trace_callback(None)
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS staged AS SELECT * FROM jobs LIMIT 0")
        edges.stage(connection, ())
        connection.execute("CREATE TEMP TABLE hanging (id INTEGER PRIMARY KEY, state TEXT, is_root INTEGER)")
        statements = [sql for sql in dict.fromkeys(seen) if not sql.startswith("--")]
        return [Plan(sql, tuple(_plan_of(connection, sql))) for sql in statements]


def _plan_of(connection: sqlite3.Connection, sql: str) -> Iterator[str]:
    if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)", sql):
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
            yield row[3]


def _use_everything(queue: Queue, hand: Hand, clock: FakeClock, tmp_path: Path) -> None:
    queue.limit("media", 3)
    for state in reversed(State):  # pending last, or it would be claimed for the others
        job_in(queue, hand, state)
    queue.pause("media")
    queue.resume("media")
    queue.pause()
    queue.resume()
    _add(queue, clock)
    _depend(queue, hand)
    _share(queue)
    _work(queue, hand, clock)
    _hook(queue)
    _read(queue)
    _list(queue)
    _act(queue)
    _keep_up(queue, clock, tmp_path)


def _add(queue: Queue, clock: FakeClock) -> None:
    later = to_datetime(clock.now_ms() + 1000)
    queue.enqueue(NewJob("true", name="one", queue="media", run_at=later))
    queue.enqueue_many(NewJob("true", queue="media", run_at=later if number % 2 else None) for number in range(6))
    with pytest.raises(Exception, match="exists already"):
        queue.enqueue_many([NewJob("true", name="one")])
    queue.set("max-attempts", "2")
    queue.unset("max-attempts")


def _hook(queue: Queue) -> None:
    """Have hooks react, alone and in a digest."""
    for event in HookEvent:
        queue.add_hook(event, "true", cwd="/")
        queue.add_hook(event, "true", every_s=0, cwd="/")
    with Hand(queue) as hand:
        for state in (State.DEAD, State.COMPLETED, State.DEAD):
            job_in(queue, hand, state)
    for hook in queue.hooks():
        queue.storage.hooks.lines(hook.gathering or 1)
        queue.remove_hook(hook.id)


def _share(queue: Queue) -> None:
    """Have jobs that need resources, some running, some waiting."""
    queue.set_resource("gpu", 2)
    queue.set_resource("disk", 1)
    queue.unset_resource("disk")
    queue.enqueue_many(NewJob("true", needs="gpu", priority=9) for _ in range(4))
    late = queue.add(NewJob("true", needs="gpu=2", priority=9))
    queue.edit(late, needs="gpu")
    with Hand(queue) as hand:
        claimed = hand.claim(3)
        queue.resources()
        queue.waiting(late)
        for claim in claimed:
            hand.record(claim)


def _depend(queue: Queue, hand: Hand) -> None:
    first = queue.add("true", queue="first", max_attempts=1, priority=1000)
    ids = queue.enqueue_many(NewJob("true", after_end=[first], queue="other") for _ in range(600))
    last = queue.add("true", after=[ids[-1], first], queue="other", is_held=True)
    queue.tree(ids[0])
    queue.waiting(last)
    queue.blockers([*ids[:10], last])
    queue.waiting_for([first])
    queue.release(last)
    hand.record(hand.claim(queues=["first"])[0], Outcome.FAILED)
    queue.add("true", after_end=[first], queue="other")
    queue.retry([first])
    hand.step()
    with pytest.raises(Exception, match="it waits for"):
        queue.retry(last)
    queue.edit(last, after=[ids[0]], after_end=[first])
    queue.undo()
    queue.cancel(first, with_dependents=True)
    queue.undo()
    queue.cancel(first, with_dependents=True)
    retried = queue.retry(first, with_dependents=True)
    queue.undo(retried.id)
    with Hand(queue) as other:
        queue.enqueue_many([NewJob("true", queue="last"), NewJob("true", queue="last")], chain=True)
        other.record(other.claim(queues=["last"])[0])
        queue.purge(View((State.COMPLETED,), parse_filter("queue:last")))
    queue.purge(View((State.CANCELLED,), parse_filter("queue:other")))


def _work(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    db = sqlite_of(queue)
    clock.advance(2)
    claimed = hand.claim(3)
    hand.record(claimed[0], Outcome.FAILED)
    hand.record(claimed[1])
    drain = Drain(db, ())
    drain._is_any_backing_off(db.connection())
    drain._is_any(db.connection(), draining._STILL_BACKING_OFF)
    drain.is_over()
    attempts = hand.attempts
    attempts.give_back([claimed[2].attempt_id])
    attempts.make_durable()
    attempts.shorten_backoffs()
    attempts.environment_of(claimed[0].environment_id)
    attempts.stop_requests(hand.id)
    db.workers.requested_stop(hand.id)
    db.workers.set_slots(hand.id, 2)
    queue.stop_worker(hand.id)
    queue.workers()
    hand.claim(1)
    for claim in attempts.open_elsewhere(0):
        Path(db.spool.run_file(claim.id)).touch()
    hand.die()
    with Hand(queue) as heir:
        for adopted in Recovery(db, heir.attempts).adopt_from_the_dead(heir.id):
            adopted.command.close()
        strike_dead_workers(db, heir.id)
        Path(db.spool.output_file(12345)).touch()
        db.maintenance.remove_leftovers()
        heir.claim(1)


def _read(queue: Queue) -> None:
    for ref in (1, "one"):
        queue.job(ref)
        queue.attempts(ref)
        queue.history(ref)
        queue.environment(ref)
        queue.waiting(ref)
    queue.output(3).read(0, 10)
    queue.output(3, 1).size()
    records = queue.records([queue.job(1), queue.job(3)])
    queue.environments(record.environment_id for record in records)
    queue.counts()
    queue.queues()
    queue.queue_rates()
    queue.newest_runs(10)
    queue.minutes()
    queue.metrics(3600)
    queue.totals()
    queue.oldest_pending_at()
    queue.data_version()
    queue.is_paused()


def _list(queue: Queue) -> None:
    pairs = ((State.PENDING, State.DEAD), (State.COMPLETED, State.CANCELLED))
    for states in ((), *((state,) for state in State), *pairs):
        for sort in Sort:
            for is_reversed in (False, True):
                for text in ("", "queue:media", "echo !name:x >1s"):
                    view = View(states, parse_filter(text), sort, is_reversed)
                    key = queue.key_at(view, 0) or (0, 1, 1)
                    queue.rows(view, after=key)
                    queue.rows(view, before=key)
                    queue.rows(view)
                    queue.count(view)
                    queue.position_of(view, key)
                    queue.ids(view)
                    if not view.terms and sort in (Sort.DEFAULT, Sort.ID):
                        queue.first_pages([(view, 100)], [Page()])
    for states in ((), (State.DEAD,)):
        queue.rows(View(states, parse_filter("output:x")))
        queue.count(View(states, parse_filter("output:x")))
        queue.rows(View(states, (Term("ids", "[1, 2]"),)))
    for states in ((), (State.PENDING,), (State.PENDING, State.DEAD)):
        for text in ("after:1", "after:one", "queue:media after:one", *(f"is:{word}" for word in WAITS)):
            view = View(states, parse_filter(text))
            queue.rows(view, after=(0, 1, 1))
            queue.count(view)
            queue.ids(view)
    queue.search_outputs("x", after=1, limit=10)
    queue.search_outputs_again("x", [1, 2])


def _act(queue: Queue) -> None:
    for state in (State.DEAD, State.COMPLETED, State.CANCELLED):
        queue.replay(View(states=(state,)))
        queue.undo()
    queue.retry(View())
    cancelled = queue.cancel(View())
    queue.cancel(View(), kill=True)
    queue.undo(cancelled.id)
    queue.edit(queue.ids(View(states=(State.PENDING,)))[0], command="false", then_retry=True)
    queue.undo()
    queue.purge(View(), older_than_s=0)
    queue.restore(View(states=(State.PURGED,)))
    queue.purge(View())
    queue.restore()


def _keep_up(queue: Queue, clock: FakeClock, tmp_path: Path) -> None:
    queue.purge(View())
    queue.set("keep-completed", "1d")
    clock.advance(100 * 86400)
    queue.prune()
    queue.empty_trash()
    queue.doctor()
    queue.backup(str(tmp_path / "copy.db"))


def _shown(some: list[Plan]) -> str:
    return "\n".join(f"{plan.sql}\n    {plan.lines}" for plan in some[:5])


def test_no_statement_reads_a_big_table_from_end_to_end(plans: list[Plan]) -> None:
    """Outside a list of exceptions with their reasons, and each exception is needed."""
    scanning = [plan for plan in plans if plan.scans()]
    unexplained = [plan for plan in scanning if not any(re.match(pattern, plan.sql) for pattern in MAY_SCAN)]
    assert not unexplained, _shown(unexplained)
    unneeded = [pattern for pattern in MAY_SCAN if not any(re.match(pattern, plan.sql) for plan in plans)]
    assert not unneeded
    assert len(plans) > 150


def test_default_lists_are_read_in_the_order_of_an_index(plans: list[Plan]) -> None:
    """No list of one state sorts its rows: a page costs a page, whatever the number of jobs.

    But for delayed jobs that are due: their order is worked out on an index that has all it takes, and merged.
    """
    of_states = re.compile(r"FROM jobs INDEXED BY \w+ WHERE .* ORDER BY .* LIMIT")
    lists = [plan for plan in plans if of_states.search(plan.sql) and not _is_of_waiting(plan)]
    assert len(lists) > 30
    sorting = [plan for plan in lists if any("TEMP B-TREE" in line for line in _without_overdue(plan.lines))]
    assert not sorting, _shown(sorting)
    merged = [plan for plan in lists if _without_overdue(plan.lines) != list(plan.lines) and "LIKE" not in plan.sql]
    assert merged
    assert all(any("COVERING INDEX jobs_delayed" in line for line in plan.lines) for plan in merged)


def _without_overdue(lines: Sequence[str]) -> list[str]:
    """Return a plan without the part that adds the overdue jobs to the ready ones: the right one of a merge."""
    part = (
        r"RIGHT", r"SEARCH jobs USING INTEGER PRIMARY KEY \(rowid=\?\)", r"LIST SUBQUERY \d+",
        r"SEARCH jobs USING (COVERING )?INDEX jobs_delayed \(run_at>\? AND run_at<\?\)",
        r"USE TEMP B-TREE FOR (RIGHT PART OF )?ORDER BY", r"USE TEMP B-TREE FOR ORDER BY",
    )  # fmt: skip
    for at in range(len(lines) - len(part) + 1):
        if all(re.fullmatch(pattern, line) for pattern, line in zip(part, lines[at:], strict=False)):
            return [*lines[:at], *lines[at + len(part) :]]
    return list(lines)


def _is_of_waiting(plan: Plan) -> bool:
    """Return whether a list is one by a filter for what jobs wait for: those are found first, and sorted."""
    return bool(re.search(r"AND \(state = 'pending' AND|WHERE id = -1", plan.sql))


def test_lists_of_what_jobs_wait_for_look_at_waiting_jobs_alone(plans: list[Plan]) -> None:
    """Of all jobs as of the pending ones, whatever has ended beside them; ready ones of all are listed by id."""
    lists = [plan for plan in plans if _is_of_waiting(plan) and "COALESCE(run_at, 0)" not in plan.sql]
    assert len(lists) > 50
    of_jobs = re.compile(r"(SCAN|SEARCH) (?:jobs|waiting|needed|edge|dependencies)\b(?:.* (\w+)(?: \(|$))?")
    reading = [found.groups() for plan in lists for line in plan.lines if (found := of_jobs.match(line))]
    assert {index for how, index in reading if how == "SCAN"} == {"jobs_blocked"}
    assert ("SEARCH", "dependencies_by_needed") in reading


def test_lists_by_id_are_read_in_the_order_of_the_table(plans: list[Plan]) -> None:
    """A page by id seeks to its key and walks on from there."""
    by_id = re.compile(r"FROM jobs WHERE .* AND id [<>] \d+.* ORDER BY id")
    pages = [plan for plan in plans if by_id.search(plan.sql) and not _is_of_waiting(plan)]
    assert len(pages) > 5
    for plan in pages:
        assert [line for line in plan.lines if "jobs" in line] == [
            "SEARCH jobs USING INTEGER PRIMARY KEY (rowid<?)"
        ] or [line for line in plan.lines if "jobs" in line] == ["SEARCH jobs USING INTEGER PRIMARY KEY (rowid>?)"], (
            plan
        )
        assert not any("TEMP B-TREE" in line for line in plan.lines), plan


def test_outputs_are_searched_by_the_jobs_of_the_view(plans: list[Plan]) -> None:
    """In the order of the list, so that its first rows need not wait for the rest; attempts are found by index."""
    searching = [plan for plan in plans if "job_id = jobs.id AND printed(" in plan.sql]
    assert len(searching) >= 4
    for plan in searching:
        (line,) = [line for line in plan.lines if "attempts" in line]
        assert line == "SEARCH attempts USING INDEX sqlite_autoindex_attempts_1 (job_id=?)"
        assert not any("TEMP B-TREE" in line for line in plan.lines), plan


def test_outputs_are_searched_newest_first_without_sorting(plans: list[Plan]) -> None:
    """A page of them is a range of the table."""
    searching = [plan for plan in plans if re.match(r"SELECT id, job_id, .*printed\(", plan.sql)]
    assert len(searching) == 2
    for plan in searching:
        assert plan.lines[0].startswith("SEARCH attempts USING INTEGER PRIMARY KEY (rowid"), plan
        assert not any("TEMP B-TREE" in line for line in plan.lines), plan


#: Statements that a worker runs all day: how they begin, and the step of the plan that must be there.
HOT = [
    (r"SELECT -priority, id, .* FROM jobs INDEXED BY jobs_claim", "INDEX jobs_claim (queue=?)"),
    (r"SELECT -priority, id, .* FROM jobs INDEXED BY jobs_gated", "INDEX jobs_gated (queue=?)"),
    (r"SELECT \(SELECT min\(run_at\) FROM jobs", "SEARCH jobs USING COVERING INDEX jobs_delayed (run_at>?)"),
    (r"SELECT \(SELECT min\(run_at\) FROM jobs", "SEARCH facts USING PRIMARY KEY (key=?)"),
    (r"WITH RECURSIVE heads", "SEARCH next USING INDEX jobs_lanes (queue=? AND needs>?)"),
    (r"SELECT -priority, id FROM jobs", "SEARCH jobs USING INDEX jobs_lanes (queue=? AND needs=?)"),
    (r"SELECT job_id, units FROM attempts", "SCAN attempts USING INDEX attempts_units"),
    (r"UPDATE jobs SET run_at = NULL WHERE id IN \(SELECT id FROM jobs INDEXED BY jobs_delayed", "jobs_delayed"),
    (r"UPDATE jobs SET state = 'running'", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"UPDATE jobs SET state = '(completed|pending|dead)', run_at", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"UPDATE attempts SET ended_at", "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"UPDATE attempts SET worker_id", "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"SELECT .* FROM attempts JOIN jobs", "SEARCH attempts USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"SELECT id, stop_requested FROM attempts", "attempts_open (worker_id=?"),
    (r"SELECT attempts.id, worker_id, job_id", "attempts_open"),
    (r"SELECT .* FROM jobs WHERE id = ", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"SELECT id FROM jobs WHERE name = ", "SEARCH jobs USING COVERING INDEX sqlite_autoindex_jobs_1 (name=?)"),
    (r"SELECT .* FROM attempts WHERE job_id = \d+ ORDER BY number", "sqlite_autoindex_attempts_1 (job_id=?)"),
    (r"SELECT act_id, .* FROM history JOIN acts", "history_by_job (job_id=?"),
    (r"SELECT id FROM environments WHERE digest", "environments_by_digest (digest=?"),
    (r"SELECT id FROM jobs INDEXED BY jobs_finished WHERE .* since <= ", "jobs_finished (state=? AND since<?)"),
    (r"SELECT since, queue FROM jobs INDEXED BY jobs_finished", "jobs_finished (state=? AND since>?)"),
    (
        r"SELECT id FROM jobs INDEXED BY jobs_delayed WHERE run_at IS NOT NULL AND blocks = 0 AND NOT EXISTS",
        "jobs_delayed",
    ),
    (
        r"SELECT id FROM jobs WHERE id = \d+ AND run_at IS NOT NULL AND blocks = 0",
        "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    (r"SELECT job_id FROM dependencies WHERE on_id = \d+ AND is_met", "dependencies_by_needed (on_id=? AND is_met=?"),
    (
        r"UPDATE dependencies SET is_met = 1 WHERE job_id",
        "SEARCH dependencies USING PRIMARY KEY (job_id=? AND on_id=?)",
    ),
    (r"UPDATE dependencies SET is_met = 0 WHERE job_id IN", "SEARCH dependencies USING PRIMARY KEY (job_id=?)"),
    (r"UPDATE jobs SET blocks = blocks - 1", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"DELETE FROM workers", "SEARCH workers USING INTEGER PRIMARY KEY (rowid=?)"),
    (r"SELECT kind, bucket", "SEARCH durations USING PRIMARY KEY (minute>?)"),
    (r"SELECT minute, enqueued", "SEARCH minutes USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
]


@pytest.mark.parametrize("number", range(len(HOT)))
def test_a_busy_statement_uses_the_index_that_was_made_for_it(plans: list[Plan], number: int) -> None:
    """What a worker or a pane runs all day finds its rows at once."""
    pattern, step = HOT[number]
    found = [plan for plan in plans if re.match(pattern, plan.sql, re.S)]
    assert found, f"nothing begins with {pattern}"
    for plan in found:
        assert any(step in line for line in plan.lines), f"{plan.sql}\n    {plan.lines}"
        assert not any("TEMP B-TREE" in line for line in plan.lines if "kind" not in pattern), plan


def test_nothing_that_a_worker_does_all_day_builds_a_table(queue: Queue, hand: Hand) -> None:
    """An IN of more than two values, in a CHECK too, makes SQLite build one each time: a tenth of a turn."""
    statements: list[str] = []
    connection = sqlite_of(queue).connection()
    queue.enqueue("true")
    connection.set_trace_callback(statements.append)
    hand.record(hand.claim()[0])
    connection.set_trace_callback(None)
    seen = [sql for sql in statements if re.match(r"(SELECT|INSERT|UPDATE)", sql)]
    assert len(seen) >= 6
    for sql in seen:
        operations = [row[1] for row in connection.execute(f"EXPLAIN {sql}")]
        assert not {"OpenEphemeral", "OpenAutoindex", "SorterOpen"} & set(operations), sql


def test_removing_a_job_finds_its_attempts_and_history_by_index(queue: Queue, hand: Hand) -> None:
    """Foreign keys are followed both ways without a scan: each child column leads an index."""
    connection = sqlite_of(queue).connection()
    children = (("attempts", "job_id"), ("history", "job_id"), ("history", "act_id"), ("settling", "job_id"))
    for table, column in (*children, ("dependencies", "job_id"), ("dependencies", "on_id")):
        (line,) = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = 1")]
        assert line.startswith(f"SEARCH {table} USING "), line


def test_every_statement_is_seen(plans: list[Plan]) -> None:
    """The list above is not empty by accident: each table is read and written."""
    text = "\n".join(plan.sql for plan in plans)
    for table in ("jobs", "attempts", "history", "acts", "workers", "queues", "facts", "settings", "minutes", "counts"):
        assert re.search(rf"(FROM|JOIN) {table}\b", text), f"{table} is never read"
        assert table == "counts" or re.search(rf"(INTO|UPDATE|FROM) (main\.)?{table}\b", text), f"{table} never written"


def test_a_claim_looks_at_as_many_rows_as_it_takes(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """Steps of SQLite's machine for a claim are the same with 100 and with 20,000 jobs waiting, paused or delayed."""
    later = to_datetime(clock.now_ms() + 86_400_000)
    queue.enqueue_many(NewJob("true") for _ in range(100))
    few = _steps_of_a_claim(queue, hand)
    queue.enqueue_many(NewJob("true") for _ in range(20_000))
    queue.enqueue_many(NewJob("true", priority=9, run_at=later) for _ in range(5_000))
    queue.enqueue_many(NewJob("true", priority=9, queue="paused") for _ in range(5_000))
    queue.pause("paused")
    many = _steps_of_a_claim(queue, hand)
    assert many <= few * 1.3


def _steps_of_a_claim(queue: Queue, hand: Hand) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    hand.claim()  # whatever is done once, first
    connection = sqlite_of(queue).connection()
    connection.set_progress_handler(count, 1)
    assert len(hand.claim()) == 1
    connection.set_progress_handler(None, 1)
    return steps
