"""Moving a whole queue from a file to a server and back: all of it, checked, resumable, and never in two places."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from core.errors import DatabaseError, DatabaseMoved, DatabaseReadOnly, Refused, UsageError
from core.execution.worker import Worker
from core.model import Ending, NewJob, Outcome, State
from core.moving import Moved, move
from core.queue import Queue
from core.storage.transfer import ATTEMPTS, JOBS, PARTS, Part, Record
from tests.fakes import FakeClock
from tests.postgres import Databases, dump, postgres_of
from tests.processes import python
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand, job_in

pytestmark = pytest.mark.long

LONG = b"line\n" * 60_000


def fill(queue: Queue, clock: FakeClock) -> None:
    """Bring jobs into every state but running, with all that can belong to them; the worker is gone at the end."""
    queue.set("keep-completed", "30d")
    queue.limit("mail", 3)
    queue.set_on_lost_host("mail", "hold")
    queue.set_resource("gpu", 2)
    queue.pause("reports")
    queue.pause()
    queue.resume()
    queue.add_hook("dead", "cat", cwd="/")
    with Hand(queue) as hand:
        for state in (State.PURGED, State.DEAD, State.CANCELLED, State.COMPLETED):
            job_in(queue, hand, state, f"echo 'ünï' {state}")
        queue.enqueue("cat book")
        (claim,) = hand.claim()
        Path(queue.storage.spool.output_file(claim.attempt_id)).write_bytes(LONG)
        hand.step([(claim, Ending(Outcome.SUCCEEDED, exit_code=0, run_ms=70, output_bytes=len(LONG)))])
        named = queue.enqueue(NewJob("true", name="named", priority=5)).id
        queue.enqueue(NewJob("flaky", max_attempts=3, env={"A": "b"}, label="x", backoff_base=2.5))
        clock.advance(90)
        queue.cancel(named)
        queue.purge(named)
        hand.do_next(Outcome.FAILED)
        queue.enqueue(NewJob("true", name="named", queue="mail", run_at=queue.now() + timedelta(hours=1)))
        queue.edit("named", priority=9)
        canary = job_in(queue, hand, State.DEAD)
        queue.edit(canary, priority=-1)
        queue.canary([canary, job_in(queue, hand, State.DEAD)])
        hand.attempts.make_durable()
        queue.storage.workers.forget(hand.id)
    queue.add_schedule("nightly", NewJob("true", priority=2), cron="0 2 * * *", zone="Europe/Berlin", missed="all")
    queue.add_schedule("sync", "true", every_s=60, overlap="allow")
    queue.pause_schedule("nightly")
    queue.run_schedule("sync")
    queue.add("true", after=["named"], queue="mail")
    ids = queue.enqueue_many(NewJob(f"true {number}", queue="bulk") for number in range(2500))
    queue.cancel(list(ids)[:1500])
    with sqlite_of(queue).write() as connection:  # an operation draws all consequences
        connection.execute("INSERT INTO settling (job_id, event, is_end) VALUES (3, 'cancelled', 0)")


@pytest.fixture
def file(tmp_path: Path, clock: FakeClock) -> str:
    """Return the path of a queue in a file that has something of everything."""
    path = str(tmp_path / "queue.db")
    with Queue(path, clock=clock) as queue:
        fill(queue, clock)
    return path


@pytest.fixture
def server(databases: Databases) -> Iterator[str]:
    """Return the address of a database on a server without a queue in it."""
    address = databases.new_empty()
    yield address
    databases.drop(address)


def rows(address: str) -> dict[str, list[Record]]:
    """Return all of a queue by part, as its engine reads it for a move."""
    with Queue(address, create=False) as queue:
        return {part.name: queue.storage.transfer.read(part, None, None, 1 << 30) for part in PARTS}


def outputs(address: str) -> dict[int, bytes]:
    """Return what all attempts wrote, as a user reads it, by the id of the attempt."""
    with Queue(address, create=False) as queue:
        found = {}
        for job_id in [row[0] for row in rows(address)["jobs"]]:
            for attempt in queue.attempts(job_id):
                output = queue.output(job_id, attempt.number)
                found[attempt.id] = output.read(0, output.size())
        return found


def is_whole(address: str) -> None:
    """Check that a queue is what its doctor says a sound one is, and does its jobs."""
    with Queue(address, create=False) as queue:
        found = {finding.check: finding for finding in queue.doctor()}
        assert {name for name, finding in found.items() if finding.level == "error"} == set()
        added = queue.enqueue(NewJob("echo here", queue="after"))
        Worker(queue, queues=["after"], drain=True).run()
        assert queue.job(added.id).state is State.COMPLETED
        assert queue.output(added.id).read(0, 100) == b"here\n"


def test_what_is_held_or_waits_for_others_is_so_in_another_file(tmp_path: Path, clock: FakeClock) -> None:
    """No job starts early because it was moved."""
    source, target = str(tmp_path / "queue.db"), str(tmp_path / "other.db")
    with Queue(source, clock=clock) as queue:
        ids = queue.enqueue_many([NewJob("true"), NewJob("true"), NewJob("true", is_held=True)], chain=True)
    before = rows(source)
    move(source, target)
    assert rows(target) == before
    with Queue(target, create=False) as queue:
        assert [queue.job(job_id).blocks for job_id in ids] == [0, 1, 2]
        assert [finding for finding in queue.doctor() if finding.level == "error"] == []


def test_a_queue_goes_to_a_server_and_back_with_all_that_it_has(file: str, server: str, tmp_path: Path) -> None:
    """Jobs with their ids, attempts, outputs in rows and in files, history, environments, settings, queues, totals."""
    before, written = rows(file), outputs(file)
    assert all(before[part.name] for part in PARTS if part.name != "facts")
    assert LONG in written.values()
    there = move(file, server)
    assert (rows(server), outputs(server)) == (before, written)
    assert {name: part.rows for name, part in there.parts.items()} == {
        name: len(found) for name, found in before.items()
    }
    assert there.files.rows == 1
    back = str(tmp_path / "back.db")
    again = move(server, back)
    assert (rows(back), outputs(back)) == (before, written)
    assert (again.parts, again.files) == (there.parts, there.files)
    is_whole(back)


def test_what_was_moved_to_a_server_works_there(file: str, server: str) -> None:
    """Counts, tokens, totals and numbers fit: a worker runs a new job, whose number was never given before."""
    with Queue(file) as queue:
        counts, totals, last = queue.counts(), queue.totals(), max(row[0] for row in rows(file)["jobs"])
    move(file, server)
    with Queue(server) as queue:
        assert (queue.counts(), queue.totals()) == (counts, totals)
        assert queue.enqueue("true").id == last + 1
        assert queue.undo(queue.storage.operations.last_act().act.id).count == 1500  # type: ignore[union-attr]
    is_whole(server)


def test_what_waits_is_freed_where_it_was_moved_to(tmp_path: Path, server: str, clock: FakeClock) -> None:
    """All edges go along, those of an end of which not all were met yet, and what is held; there and back again."""
    here, back = str(tmp_path / "here.db"), str(tmp_path / "back.db")
    with Queue(here, clock=clock) as queue:
        first, other = queue.add("true"), queue.add("true", priority=-1)
        ids = queue.enqueue_many(NewJob("true", after=[first], queue="bulk") for _ in range(1200))
        last = queue.add("true", after=[other], is_held=True, run_at=queue.now() + timedelta(hours=1))
        with Hand(queue) as hand:
            hand.do_next()
            hand.attempts.make_durable()
            queue.storage.workers.forget(hand.id)
        left = queue.waiting_for([first])
        assert 0 < left[first] < 1200
    for source, target in ((here, server), (server, back)):
        move(source, target)
        with Queue(target, clock=clock) as queue:
            assert queue.waiting_for([first, other]) == {**left, other: 1}
            assert (queue.job(last).blocks, queue.counts().blocked) == (2, left[first] + 1)
            assert [found for found in queue.doctor() if found.level == "error"] == []
    with Queue(back, clock=clock) as queue, Hand(queue) as hand:
        for _ in range(3):
            hand.step()
        assert queue.counts().blocked == 1
        assert not any(queue.job(job_id).blocks for job_id in ids[-5:])


def test_other_hosts_read_the_outputs_that_came_in_files(file: str, server: str) -> None:
    """The server has a copy for those that do not have the file."""
    with Queue(file) as queue:
        (job_id,) = [row[1] for row in rows(file)["attempts"] if row[-1] is None and row[12] == len(LONG)]
    move(file, server)
    with Queue(server) as queue:
        output = queue.output(job_id)
        assert output.path is not None
        Path(output.path).unlink()
        output = queue.output(job_id)
        assert output.path is None
        assert output.read(0, output.size()) == LONG


@pytest.mark.parametrize("is_server", [False, True], ids=["a file", "a server"])
def test_a_queue_that_was_moved_away_refuses_and_names_the_other(
    is_server: bool, file: str, server: str, tmp_path: Path
) -> None:
    """Whoever adds jobs, runs them, acts on them or changes what holds for them is told; reading goes on."""
    source, target = file, str(tmp_path / "other.db")
    if is_server:
        move(file, server)
        source = server
    with Queue(source) as opened_before:
        move(source, target)
        with Queue(source) as opened_after:
            for queue in (opened_before, opened_after):
                for change in (
                    lambda queue: queue.enqueue("true"),
                    lambda queue: queue.enqueue_many([NewJob("true")] * 30),
                    lambda queue: queue.replay(2),
                    lambda queue: queue.edit("named", priority=1),
                    lambda queue: queue.limit("mail", None),
                    lambda queue: queue.set_resource("gpu", 3),
                    lambda queue: queue.set("shell", "/bin/sh"),
                    lambda queue: Worker(queue, drain=True).run(),
                ):
                    with pytest.raises(DatabaseMoved, match=r"was moved to .*other.db; use that: --db"):
                        change(queue)
                assert queue.job("named").priority == 9
                assert isinstance(queue.write_error(), DatabaseMoved)
                assert [found.check for found in queue.doctor() if found.level == "error"] == ["writes"]
    with pytest.raises(Refused, match=r"was moved to .* already"):
        move(source, target)
    with pytest.raises(Refused, match=r"was moved to .* already"):
        move(source, str(tmp_path / "third.db"))
    assert not (tmp_path / "third.db").exists()


def test_a_move_is_refused_while_workers_run_or_attempts_are_open(file: str, server: str) -> None:
    """What runs would be recorded in the old place; nothing is made on the server."""
    with Queue(file) as queue, Hand(queue) as hand:
        with pytest.raises(Refused, match=r"1 worker .* run, .*queuectl worker stop"):
            move(file, server)
        job_in(queue, hand, State.RUNNING)
        hand.die()
        with pytest.raises(Refused, match=r"1 attempt .* open"):
            move(file, server)
    with pytest.raises(DatabaseError, match="no queue in"):
        Queue(server, create=False)


def test_only_a_new_database_is_a_target(file: str, server: str, tmp_path: Path) -> None:
    """Not one with jobs, not the same one, and not one that another queue is moved to."""
    with Queue(server) as queue:
        queue.enqueue("true")
    with pytest.raises(Refused, match="has, or had, jobs of its own"):
        move(file, server)
    with pytest.raises(UsageError, match="are the same"):
        move(file, file)
    half = str(tmp_path / "half.db")
    with Queue(half) as queue:
        queue.storage.transfer.begin("/another/queue.db")
        with pytest.raises(DatabaseMoved, match=r"not whole yet; finish that with: queuectl move /another/queue.db"):
            queue.enqueue("true")
    with pytest.raises(Refused, match="is being filled by"):
        move(file, half)
    with Queue(file) as queue:
        queue.enqueue("true")  # the source was not touched


def test_what_cannot_end_well_does_not_begin(file: str, server: str, tmp_path: Path) -> None:
    """A path that the other database could not keep, or a user who may not mark the source: nothing is made."""
    odd = str(tmp_path / "q") + os.fsdecode(b"\xff.db")
    with Queue(odd) as queue:
        queue.enqueue("true")
    with pytest.raises(UsageError, match=r"q\\xff.db' is not valid UTF-8"):
        move(odd, server)
    with pytest.raises(DatabaseError, match="no queue in"):
        Queue(server, create=False)
    target = str(tmp_path / "target.db")
    move(file, server)
    with pytest.raises(UsageError, match="is not valid UTF-8"):
        move(server, os.fsdecode(os.fsencode(target) + b"\xff"))
    user = f"mover_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN")
        try:
            connection.execute(f"GRANT USAGE ON SCHEMA queuectl TO {user}")
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queuectl TO {user}")
            connection.execute(f"GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA queuectl TO {user}")
            with pytest.raises(DatabaseReadOnly, match="may not mark the queue as moved, which the owner"):
                move(urlunsplit(urlsplit(server)._replace(netloc=f"{user}@")), target)
        finally:
            connection.execute(f"DROP OWNED BY {user} CASCADE")
            connection.execute(f"DROP ROLE {user}")
    assert sorted(path.name for path in tmp_path.iterdir() if "target" in path.name) == []


def test_an_output_that_cannot_be_read_is_not_lost_unasked(file: str, server: str) -> None:
    """Its file is on another host, or gone: the move says so, and does without if that is wanted."""
    with Queue(file) as queue:
        (attempt,) = [row for row in rows(file)["attempts"] if row[-1] is None and row[12] == len(LONG)]
        Path(queue.storage.spool.output_file(attempt[0])).unlink()
    with pytest.raises(Refused, match=rf"1 output cannot be read whole here, of the attempts {attempt[0]}:"):
        move(file, server)
    with Queue(file) as queue:
        queue.enqueue("true")
    assert move(file, server, skip_missing_outputs=True).missing == (attempt[0],)
    assert rows(server) == rows(file)


# --- ended in the middle

_KILLED = """
import os, signal, sys
from core.moving import move
from core.storage.postgres import transfer as on_server
from core.storage.sqlite import transfer as in_file

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

source, target, where = sys.argv[1:]
if where in ("derive", "finish"):
    setattr(on_server.Transfer, where, die)
    setattr(in_file.Transfer, where, die)
name, _, number = where.partition(" ")
seen = [0]

def progress(what, done, of):
    if what == name:
        seen[0] += 1
        if seen[0] == int(number):
            die()

move(source, target, progress=progress)
"""


@pytest.mark.parametrize("is_back", [False, True], ids=["to a server", "to a file"])
@pytest.mark.parametrize("where", ["settings 1", "jobs 2", "attempts 1", "sequences 1", "jobs 5", "derive", "finish"])
def test_a_move_that_was_killed_goes_on_when_it_is_started_again(
    where: str, is_back: bool, file: str, server: str, tmp_path: Path
) -> None:
    """At every moment at most one of the two takes jobs, and at the end the target has all there was."""
    source, target = file, server
    if is_back:
        move(file, server)
        source, target = server, str(tmp_path / "back.db")
    before, written = rows(source), outputs(source)
    with python(_KILLED, source, target, where) as killed:
        assert killed.wait() == -signal.SIGKILL
    assert rows(source) == before
    for address, is_open in ((source, where != "finish"), (target, False)):
        with Queue(address) as queue:
            if is_open:
                assert queue.storage.transfer.state().moved_to is None
            else:
                with pytest.raises(DatabaseMoved):
                    queue.enqueue("true")
    before = rows(source)  # a job that was refused may have used up a number
    move(source, target)
    assert (rows(target), outputs(target)) == (before, written)
    is_whole(target)


def test_what_changed_between_two_starts_is_brought_along(file: str, server: str) -> None:
    """The source is in use until the hand-over: jobs come, change their names and go."""
    with Queue(file) as queue:
        last = queue.enqueue(NewJob("true", name="wandering")).id
    with python(_KILLED, file, server, "sequences 1") as killed:
        assert killed.wait() == -signal.SIGKILL
    with Queue(file) as queue:
        queue.enqueue("late")
        queue.replay(2)
        queue.edit(last, name=None)
        queue.edit(2, name="wandering")
        queue.edit("named", name="renamed")
        queue.enqueue(NewJob("true", name="named"))
        queue.purge(4)
        assert queue.empty_trash() == 3
        queue.unset("keep-completed")
        queue.limit("mail", None)
        with Hand(queue) as hand:
            hand.do_next()
            queue.storage.workers.forget(hand.id)
    before, written = rows(file), outputs(file)
    move(file, server)
    assert (rows(server), outputs(server)) == (before, written)
    is_whole(server)


def test_what_changes_while_it_is_copied_is_brought_along(file: str, server: str) -> None:
    """The last look, with all writers kept out, sees it."""
    added: list[int] = []

    def progress(what: str, done: int, of: int) -> None:
        if what == "sequences" and not added:
            with Queue(file) as queue:
                added.append(queue.enqueue("at the last moment").id)
                queue.replay(2)

    move(file, server, progress=progress)
    assert rows(server) == rows(file)
    with Queue(server) as queue:
        assert queue.job(added[0]).command == "at the last moment"


def test_jobs_that_ran_while_they_were_copied_stop_the_hand_over(file: str, server: str) -> None:
    """Their outputs were not copied with them; a second start has all of it."""

    def progress(what: str, done: int, of: int) -> None:
        if what == "sequences":
            with Queue(file) as queue, Hand(queue) as hand:
                queue.enqueue(NewJob("true", priority=99))
                hand.do_next()
                queue.storage.workers.forget(hand.id)

    with pytest.raises(Refused, match="ran while they were copied"):
        move(file, server, progress=progress)
    move(file, server)
    assert rows(server) == rows(file)


def test_a_target_that_loses_what_is_written_to_it_is_found_out(
    file: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is read back; the source stays in use."""
    with Queue(server) as queue:
        kind = type(queue.storage.transfer)
        write = kind.write

    def lossy(self: object, part: Part, records: list[Record], gone: list[Record]) -> None:
        write(self, part, records[:-1] if part is JOBS else records, gone)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "write", lossy)
    with pytest.raises(DatabaseError, match=r"does not give back what was written to it \(jobs\)"):
        move(file, server)
    with Queue(file) as queue:
        queue.enqueue("true")


def test_a_finished_move_leaves_no_mark_on_the_target(file: str, server: str) -> None:
    """The schema is that of any other queue there."""
    move(file, server)
    assert "moves" not in dump(server)
    with Queue(server) as queue:
        left = postgres_of(queue).query("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'moved%%'")
        assert left == [(0,)]


def test_digests_speak_of_what_was_written(file: str, server: str, tmp_path: Path) -> None:
    """Two queues that differ in one output have different digests, of that part alone."""
    with Queue(file) as queue:
        queue.backup(tmp_path / "copy.db")
    copied = Path(f"{file}.spool/attempts")
    with Queue(tmp_path / "copy.db") as queue:
        for path in copied.glob("*.out"):
            Path(queue.storage.spool.attempts, path.name).write_bytes(path.read_bytes())
        queue.storage.transfer.begin("x")
        (first, *_) = queue.storage.transfer.read(ATTEMPTS, None, None, 10)
        queue.storage.transfer.write(ATTEMPTS, [(*first[:-1], b"other")], [])
        queue.storage.transfer.finish()
    one = move(file, server)
    two = move(str(tmp_path / "copy.db"), str(tmp_path / "third.db"))
    assert {name for name in one.parts if one.parts[name] != two.parts[name]} == {"attempts"}


def test_a_text_with_a_nul_comes_to_a_server_without_it(file: str, server: str) -> None:
    """No text there can have one."""
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("UPDATE jobs SET label = 'a' || char(0) || 'b' WHERE id = 2")
        other.commit()
    move(file, server)
    with Queue(server) as queue:
        assert queue.job(2).label == "a\ufffdb"


@pytest.mark.parametrize("is_back", [False, True], ids=["to a server", "to a file"])
def test_of_two_moves_at_once_one_is_the_move(is_back: bool, file: str, server: str, tmp_path: Path) -> None:
    """The other one finds that the queue has gone, also when it was about to hand it over."""
    source, target = file, server
    if is_back:
        move(file, server)
        source, target = server, str(tmp_path / "back.db")
    before = rows(source)
    others: list[Moved] = []

    def progress(what: str, done: int, of: int) -> None:
        if what == "sequences" and not others:
            others.append(move(source, target))

    with pytest.raises(Refused, match="was moved to"):
        move(source, target, progress=progress)
    assert rows(target) == before
    is_whole(target)
