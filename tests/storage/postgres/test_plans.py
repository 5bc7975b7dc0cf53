"""With 130,000 jobs a page, a look and a claim read as many rows as they give, whatever the planner knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from core.model import Outcome, Page, Sort, State, View
from core.queue import Queue
from core.rules.filters import parse_filter
from core.rules.views import DONE
from core.storage.postgres.maintenance import CHUNK, removable
from core.storage.values import ClaimCapacity, StepTerms
from tests.fakes import FakeClock
from tests.postgres import Databases, postgres_of
from tests.storage.by_hand import ENDINGS, Hand

NOW = FakeClock().now_ms()
#: Which jobs are in which state, by id.
READY, DELAYED, RUNNING = (1, 30_000), (30_001, 60_000), (60_001, 60_200)
COMPLETED, DEAD, CANCELLED, PURGED = (60_201, 85_000), (85_001, 97_000), (97_001, 99_000), (99_001, 100_000)
BLOCKED = (100_001, 130_000)
#: Blocked jobs that wait one for the other, the first of them for a dead job; one that waits for all that run; the rest
#: waits for one that runs.
CHAIN, FAN_IN, FAN_OUT = (100_001, 110_000), 110_001, (110_002, 130_000)
DEAD_NEEDED, RUNNING_NEEDED = 90_000, 60_001
LIMIT = 100
#: A row of a page is read from its index, from jobs, and from each kind of token.
PER_ROW = 5

# Of a queue there are many ready jobs and, with a high priority, few: what an average says is wrong for both.
FILL = f"""
ALTER TABLE jobs SET (autovacuum_enabled = false);
ALTER TABLE ready SET (autovacuum_enabled = false);
ALTER TABLE delayed SET (autovacuum_enabled = false);
ALTER TABLE blocked SET (autovacuum_enabled = false);
ALTER TABLE dependencies SET (autovacuum_enabled = false);
ALTER TABLE running SET (autovacuum_enabled = false);
ALTER TABLE attempts SET (autovacuum_enabled = false);
INSERT INTO environments (digest, mode, variables) VALUES (0, 'none', '{{}}');
INSERT INTO jobs (id, command, queue, priority, cwd, environment_id, max_attempts, backoff_base, state, attempts,
                  starts, enqueued_at, due_at, since, attempt_id, started_at, finished_at, run_ms, outcome, fingerprint,
                  purged_from)
SELECT id, 'echo ' || id, CASE WHEN id % 100 = 0 THEN 'rare' WHEN id % 2 = 0 THEN 'media' ELSE 'default' END,
    CASE WHEN id % 1000 = 0 THEN 9 ELSE 0 END, '/', 1, 9, 2, state,
    (state <> 'open')::int, (state <> 'open')::int, {NOW} - 900000, {NOW} - 900000,
    CASE WHEN state = 'open' THEN {NOW} - 900000 ELSE {NOW} - id % 5000 END,
    CASE WHEN state <> 'open' THEN id END, CASE WHEN state <> 'open' THEN {NOW} - 5000 END,
    CASE WHEN state <> 'open' THEN {NOW} - id % 5000 END, CASE WHEN state <> 'open' THEN id % 500 END,
    CASE WHEN state <> 'open' THEN 'failed' END, CASE WHEN state = 'dead' AND id % 10 > 0 THEN id % 50 END,
    CASE WHEN state = 'purged' THEN 'dead' END
FROM (SELECT id, CASE WHEN id > {PURGED[1]} THEN 'open' WHEN id > {CANCELLED[1]} THEN 'purged'
      WHEN id > {DEAD[1]} THEN 'cancelled'
      WHEN id > {COMPLETED[1]} THEN 'dead' WHEN id > {RUNNING[1]} THEN 'completed' ELSE 'open' END AS state
      FROM generate_series(1, {BLOCKED[1]}) AS id) AS made;
INSERT INTO ready (job_id, queue, priority, due_at)
SELECT id, queue, priority, due_at FROM jobs WHERE id <= {READY[1]};
INSERT INTO delayed (job_id, queue, priority, run_at)
SELECT id, queue, priority, {NOW} + (id - {DELAYED[0]} - 100) * 1000
FROM jobs WHERE id BETWEEN {DELAYED[0]} AND {DELAYED[1]};
INSERT INTO blocked (job_id, queue, priority, due_at, blocks)
SELECT id, queue, priority, due_at, CASE id WHEN {FAN_IN} THEN {RUNNING[1] - RUNNING[0] + 1} ELSE 1 END
FROM jobs WHERE id BETWEEN {BLOCKED[0]} AND {BLOCKED[1]};
INSERT INTO dependencies (job_id, on_id, kind, is_met)
SELECT id, CASE id WHEN {CHAIN[0]} THEN {DEAD_NEEDED} ELSE id - 1 END, 'complete', 0
FROM generate_series({CHAIN[0]}, {CHAIN[1]}) AS id
UNION ALL SELECT {FAN_IN}, id, 'complete', 0 FROM generate_series({RUNNING[0]}, {RUNNING[1]}) AS id
UNION ALL SELECT id, {RUNNING_NEEDED}, 'end', 0 FROM generate_series({FAN_OUT[0]}, {FAN_OUT[1]}) AS id
UNION ALL SELECT id, id - 1, 'complete', 1 FROM generate_series({COMPLETED[0] + 1}, {COMPLETED[1]}) AS id;
INSERT INTO running (job_id, number, queue, priority, due_at, worker_id, host_id, started_at)
SELECT id, 1, queue, priority, due_at, 999, 999, {NOW} - id FROM jobs WHERE id BETWEEN {RUNNING[0]} AND {RUNNING[1]};
INSERT INTO attempts (id, job_id, number, worker_id, host_id, started_at, ended_at, run_ms, outcome, output,
                      output_bytes)
SELECT id, id, 1, 1, 1, started_at, finished_at, run_ms, outcome, ('some output ' || id)::bytea, 20 FROM jobs
WHERE state <> 'open';
INSERT INTO counts (queue, kind, shard, n)
SELECT queue, CASE WHEN state <> 'open' THEN state WHEN id <= {READY[1]} THEN 'ready' WHEN id <= {DELAYED[1]}
              THEN 'delayed' WHEN id > {PURGED[1]}
              THEN 'blocked' ELSE 'running' END AS kind, 0, count(*) FROM jobs GROUP BY queue, kind;
SELECT setval('attempt_ids', 1000000);
"""


@pytest.fixture(scope="module", params=["analysed", "without statistics"])
def crowd(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Queue]:
    """Return a queue of 130,000 jobs in all states, of which the planner knows much or nothing."""
    address = databases.new()
    with psycopg.connect(address, autocommit=True, options="-c search_path=queuectl") as connection:
        connection.execute(FILL)
        if request.param == "analysed":
            connection.execute("ANALYZE")
    with Queue(address, clock=FakeClock()) as queue:
        yield queue
    databases.drop(address)


class Scan(NamedTuple):
    """A step of a plan that reads a table: by which index, if any, and how many rows."""

    table: str
    index_name: str | None
    rows: float


def scans(queue: Queue, ask: Callable[[], object]) -> list[Scan]:
    """Return what the statements read that are run by ``ask``, each run once more to be measured."""
    storage = postgres_of(queue)
    connection = storage.connection()
    statements: list[tuple[Any, Any]] = []

    class Recording(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            statements.append((query, params))
            return super().execute(query, params, **more)

    connection.cursor_factory = Recording
    try:
        ask()
    finally:
        connection.cursor_factory = psycopg.Cursor
    found: list[Scan] = []
    for query, params in statements:
        if query.lstrip("(").startswith(("SELECT", "WITH")):
            (row,) = connection.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", params)
            found.extend(_scans_in(row[0][0]["Plan"]))
    assert found
    return found


def _scans_in(node: dict[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in node:
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
        index = node["Plans"][0] if node["Node Type"] == "Bitmap Heap Scan" else node
        yield Scan(node["Relation Name"], index.get("Index Name"), rows)
    for inner in node.get("Plans", ()):
        yield from _scans_in(inner)


def check(queue: Queue, ask: Callable[[], object], most: int) -> list[Scan]:
    """Assert that no more rows are read by ``ask``; return what is."""
    found = scans(queue, ask)
    assert sum(scan.rows for scan in found) <= most, found
    return found


VIEWS = [
    *(View((state,)) for state in State),
    View(DONE),
    View(),
    *(View(states, (), Sort.ID) for states in ((), (State.PENDING,), (State.RUNNING,))),
    View((State.PENDING,), parse_filter("queue:media")),
    View((State.PENDING,), parse_filter("queue:rare")),
]


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_a_page_reads_as_many_rows_as_it_has(crowd: Queue, number: int, is_reversed: bool) -> None:
    """The first one, those behind and before a key at any place, and the last one; overdue jobs are sorted, at most."""
    view = VIEWS[number]._replace(is_reversed=is_reversed)
    overdue = 4 * 100 if State.PENDING in view.states else 0
    purged = 0 if view.states else PURGED[1] - PURGED[0] + 1  # read in vain
    most = LIMIT * PER_ROW + overdue + purged + 2 * LIMIT
    count = crowd.count(view)
    for position in (0, count // 100, count // 2, count - 20):
        key = crowd.key_at(view, position)
        assert key is not None
        assert len(crowd.rows(view, after=key, limit=LIMIT)) == min(LIMIT, count - position - 1)
        check(crowd, lambda key=key: crowd.rows(view, after=key, limit=LIMIT), most)  # type: ignore[misc]
        check(crowd, lambda key=key: crowd.rows(view, before=key, limit=LIMIT), most)  # type: ignore[misc]
    check(crowd, lambda: crowd.rows(view, limit=LIMIT), most)
    check(crowd, lambda: crowd.last_rows(view, limit=LIMIT), most)


@pytest.mark.parametrize("number", [number for number, view in enumerate(VIEWS) if not view.terms])
def test_a_statement_that_is_asked_often_reads_no_more(crowd: Queue, number: int) -> None:
    """The server may plan it once for all values then: still by an index, with no value to go by."""
    view = VIEWS[number]
    storage = postgres_of(crowd)
    key = crowd.key_at(view, crowd.count(view) // 2)
    connection = storage.connection()
    connection.prepare_threshold = 0
    connection.execute("SET plan_cache_mode = force_generic_plan")
    try:
        with storage.read():
            before = sum(_rows_read(connection).values())
            assert len(crowd.rows(view, after=key, limit=LIMIT)) >= 90
            read = sum(_rows_read(connection).values()) - before
    finally:
        connection.prepare_threshold = 5
        connection.execute("RESET plan_cache_mode")
        connection.execute("DEALLOCATE ALL")
    purged = 0 if view.states else PURGED[1] - PURGED[0] + 1
    assert read <= LIMIT * PER_ROW + 4 * 100 + purged + 2 * LIMIT


def test_pages_of_all_panes_are_one_statement_that_reads_them_alone(crowd: Queue) -> None:
    views = [View((State.PENDING,)), View((State.RUNNING,)), View(DONE), View((State.DEAD,))]
    check(crowd, lambda: crowd.first_pages([(v, LIMIT) for v in views], [Page()] * 4), 4 * LIMIT * (PER_ROW + 1) + 400)


@pytest.mark.parametrize("text", ["echo", "!queue:media", "queue:m*", "queue:media", "!exit:3", "attempts:1"])
def test_a_filter_reads_on_until_its_page_is_full(crowd: Queue, text: str) -> None:
    """What every other job has is found among the first few hundred; a planner that knows nothing may sort them all."""
    view = View((State.DEAD,), parse_filter(text))
    (is_analysed,) = postgres_of(crowd).query("SELECT reltuples > 0 FROM pg_class WHERE oid = 'jobs'::regclass")[0]
    most = 3 * LIMIT if is_analysed else DEAD[1] - DEAD[0] + 1
    assert len(crowd.rows(view, limit=LIMIT)) == LIMIT
    check(crowd, lambda: crowd.rows(view, limit=LIMIT), most + LIMIT * PER_ROW)


EDGES = BLOCKED[1] - BLOCKED[0] + RUNNING[1] - RUNNING[0] + 1
#: Filters for what jobs wait for: how many jobs they find, and how many rows are read for that besides the page.
WAITING = [
    (f"after:{DEAD_NEEDED}", 1, 50),
    (f"after:{RUNNING_NEEDED}", FAN_OUT[1] - FAN_OUT[0] + 2, 4 * (FAN_OUT[1] - FAN_OUT[0] + 2)),
    (f"queue:media after:{CHAIN[0]}", 1, 50),
    ("after:nobody", 0, 50),
    ("is:held", 0, 2 * (BLOCKED[1] - BLOCKED[0] + 1)),
    ("is:stuck", CHAIN[1] - CHAIN[0] + 1, 4 * EDGES),
    ("is:blocked", BLOCKED[1] - BLOCKED[0] + 1, 2 * EDGES),
    ("is:ready", READY[1] + 101, 1_000),
    ("is:delayed", DELAYED[1] - DELAYED[0] - 100, 1_000),
    ("is:retrying", 0, 4 * (DELAYED[1] - DELAYED[0])),
]


@pytest.mark.parametrize(("text", "count", "most"), WAITING)
def test_a_filter_for_what_jobs_wait_for_reads_waiting_jobs_alone(
    crowd: Queue, text: str, count: int, most: int
) -> None:
    """Of the pending jobs as of all, but for ready ones; what has ended is looked up where a job waits for it."""
    for states in ((State.PENDING,), ()):
        view = View(states, parse_filter(text))
        if states or text != "is:ready":
            check(crowd, lambda view=view: crowd.rows(view, limit=LIMIT), most + LIMIT * PER_ROW)  # type: ignore[misc]
        assert crowd.count(view) == count


def test_outputs_of_the_first_jobs_of_a_list_are_searched_first(crowd: Queue) -> None:
    """200 jobs at once, and what they printed, by the index of their attempts."""
    for text in ("output:SOME", "output:/some .*put/"):
        view = View((State.DEAD,), parse_filter(text))
        assert len(crowd.rows(view, limit=LIMIT)) == LIMIT
        found = check(crowd, lambda view=view: crowd.rows(view, limit=LIMIT), 200 * 6 + LIMIT * PER_ROW)  # type: ignore[misc]
        assert {scan.index_name for scan in found if scan.table == "attempts"} == {"attempts_job_id_number_key"}


@pytest.mark.parametrize("text", ['output:"PUT 9000"', "output:/put 9000[0-9]/", "output:some !output:/put(?! 9000)/"])
def test_a_search_goes_on_until_all_jobs_of_the_list_are_searched(crowd: Queue, text: str) -> None:
    """A few hundred at a time; lists, counts and keys agree."""
    view = View((State.DEAD,), parse_filter(text))
    wanted = [job_id for job_id in crowd.ids(View((State.DEAD,))) if 90_000 <= job_id <= 90_009]
    assert crowd.ids(view) == wanted
    assert crowd.count(view) == 10
    pages = [crowd.rows(view, limit=4)]
    while pages[-1]:
        pages.append(crowd.rows(view, after=pages[-1][-1].key, limit=4))
    assert [row.job.id for page in pages for row in page] == wanted
    key = crowd.key_at(view, 6)
    assert key == pages[1][2].key
    assert crowd.position_of(view, key) == 6
    assert [row.job.id for row in crowd.rows(view, before=key, limit=3)] == wanted[3:6]


LOOKS: list[tuple[str, Callable[[Queue], object], int]] = [
    ("one job", lambda q: q.job(60_005), 10),
    ("its attempts", lambda q: q.attempts(70_000), 10),
    ("its newest attempt", lambda q: postgres_of(q).jobs.attempt(70_000, None), 10),
    ("its history", lambda q: q.history(70_000), 10),
    ("its environment", lambda q: q.environment(70_000), 10),
    ("the counts", lambda q: q.counts(), 500),
    ("the length of a list", lambda q: q.count(View((State.PENDING,))), 500),
    ("the next one due", lambda q: q.next_due_at(), 10),
    ("who has waited for longest", lambda q: q.oldest_pending_at(), 1_100),
    ("dead jobs without a fingerprint", lambda q: postgres_of(q).groups.unread(50), 700),
    ("the newest outputs", lambda q: q.search_outputs("some", limit=50), 250),
    ("outputs further back", lambda q: q.search_outputs("some", before=70_000, limit=50), 250),
    ("outputs once more", lambda q: q.search_outputs_again("some", range(70_000, 70_050)), 300),
    ("the newest runs", lambda q: q.newest_runs(50), 200),
    ("a blocked job and why", lambda q: q.waiting(CHAIN[0]), 20),
    ("the last of a long chain, looked up as far as it is walked", lambda q: q.waiting(CHAIN[1]), 3 * 1_000 + 50),
    ("one that waits for many", lambda q: q.waiting(FAN_IN), 5 * 200 + 50),
    ("what it waits for", lambda q: q.edges_of([FAN_IN]), 201),
    ("what keeps a page of jobs back", lambda q: q.blockers(range(FAN_OUT[0], FAN_OUT[0] + LIMIT)), LIMIT * 10),
    ("how many wait for a page of jobs", lambda q: q.waiting_for(range(DEAD_NEEDED, DEAD_NEEDED + LIMIT)), 10),
    ("a tree in a long chain", lambda q: q.tree(CHAIN[0] + 1000, limit=100), 201 * 8),
    ("a tree below one that many wait for", lambda q: q.tree(RUNNING_NEEDED, limit=100), 100 * 8 + 10_100),
    ("which jobs can be removed", lambda q: _look_for_removable(q), 4 * 500 + 50),
    ("an output", lambda q: postgres_of(q).outputs.stored(70_000), 5),
    ("the outputs in files", lambda q: postgres_of(q).outputs.kept_in_files(), 300),
]


def _look_for_removable(queue: Queue) -> None:
    with postgres_of(queue).connection().transaction(force_rollback=True):
        assert len(removable(postgres_of(queue).connection(), "dead", NOW)) == CHUNK


@pytest.mark.parametrize("what", [what for what, _, _ in LOOKS])
def test_a_look_reads_a_few_rows(crowd: Queue, what: str) -> None:
    (_, look, most) = next(one for one in LOOKS if one[0] == what)
    check(crowd, lambda: look(crowd), most)


def test_the_records_of_a_page_read_that_page(crowd: Queue) -> None:
    jobs = [row.job for row in crowd.rows(View((State.DEAD,)), limit=LIMIT)]
    check(crowd, lambda: crowd.records(jobs), LIMIT * PER_ROW)


def test_groups_of_dead_jobs_are_read_from_the_index_that_was_made_for_them(crowd: Queue) -> None:
    """And no job that is not dead; the newest of each group by its id."""
    found = scans(crowd, lambda: crowd.dead_groups(20))
    assert {scan.index_name for scan in found if scan.rows > 500} <= {"jobs_groups", "jobs_finished"}
    assert sum(scan.rows for scan in found) <= 2 * (DEAD[1] - DEAD[0] + 1) + 20 * PER_ROW


def test_a_claim_reads_what_it_claims(crowd: Queue) -> None:
    """Of whichever queue, behind few or many others, and with delayed jobs that are due: no table from end to end."""
    with Hand(crowd) as hand:
        terms = StepTerms(crowd.settings(), is_rolled_up=False)
        connection = postgres_of(crowd).connection()
        for queues in ((), ("rare",), ("media", "default")):
            connection.execute("BEGIN")
            before = _rows_read(connection)
            capacity = ClaimCapacity(hand.id, 10, queues)
            assert len(hand.attempts.record_and_claim([], capacity, lambda claim: None, terms).claimed) == 10
            read = {table: rows - before.get(table, 0) for table, rows in _rows_read(connection).items()}
            connection.execute("ROLLBACK")
            # of each queue as many are looked at as there are slots; what is due is found, locked and deleted
            most = {"ready": 3 * 10 + 30, "delayed": 3 * 101 + 10, "jobs": 10, "running": 10, "attempts": 0}
            assert {table: rows for table, rows in read.items() if rows > most.get(table, 20)} == {}


def test_recording_reads_what_it_records(crowd: Queue) -> None:
    """Ends of ten attempts at once: their own rows, no table from end to end."""
    with Hand(crowd) as hand:
        terms = StepTerms(crowd.settings(), is_rolled_up=False)
        connection = postgres_of(crowd).connection()
        connection.execute("BEGIN")
        claimed = hand.attempts.record_and_claim([], ClaimCapacity(hand.id, 10), lambda claim: None, terms).claimed
        before = _rows_read(connection)
        endings = [(claim, ENDINGS[Outcome.SUCCEEDED]) for claim in claimed]
        done = hand.attempts.record_and_claim(endings, ClaimCapacity(hand.id, 0), lambda claim: None, terms)
        read = {table: rows - before.get(table, 0) for table, rows in _rows_read(connection).items()}
        connection.execute("ROLLBACK")
    assert len(done.recorded) == 10
    # found and locked in running, then deleted
    most = {"running": 3 * 10, "jobs": 10, "attempts": 0, "ready": 0}
    assert {table: rows for table, rows in read.items() if rows > most.get(table, 20)} == {}


def _rows_read(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return how many rows of each table this session has read and not reported yet."""
    return dict(
        connection.execute(
            "SELECT relname, (COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))::bigint"
            " FROM pg_stat_xact_user_tables"
        ).fetchall()
    )
