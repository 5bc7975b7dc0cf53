"""Dead jobs by what they died of: kept when they die, read later where that was not done, and counted by an index."""

from __future__ import annotations

from core.model import Ending, NewJob, Outcome, State, Term, View
from core.queue import Queue
from core.rules.fingerprint import with_last_words
from core.rules.units import fingerprint_text
from tests.sqlite import sqlite_of
from tests.storage.by_hand import Hand


def die_of(hand: Hand, output: bytes, *, queue: str = "default", is_described: bool = True) -> int:
    """Let a new job die with an output; not ``is_described`` as one of an older program."""
    hand.queue.add(NewJob("false", queue=queue, max_attempts=1))
    (claim,) = hand.claim()
    ending = Ending(Outcome.FAILED, exit_code=1, run_ms=10, output=output, output_bytes=len(output))
    hand.step([(claim, with_last_words(ending, output) if is_described else ending)])
    return claim.job.id


def test_a_job_and_its_attempt_keep_the_last_words(queue: Queue, hand: Hand) -> None:
    job_id = die_of(hand, b"reading\nValueError: row 7\n")
    job, attempt = queue.job(job_id), queue.attempts(job_id)[0]
    assert job.last_line == attempt.last_line == "ValueError: row 7"
    assert job.fingerprint == attempt.fingerprint is not None


def test_a_claim_and_a_claim_given_back_leave_the_words_of_the_attempt_before(queue: Queue, hand: Hand) -> None:
    job_id = die_of(hand, b"ValueError: row 7\n")
    before = queue.job(job_id)
    queue.replay(job_id)
    (claim,) = hand.claim()
    assert (queue.job(job_id).last_line, queue.job(job_id).fingerprint) == (None, None)
    hand.attempts.give_back([claim.attempt_id])
    after = queue.job(job_id)
    assert (after.last_line, after.fingerprint) == (before.last_line, before.fingerprint)


def test_groups_are_counted_over_queues_the_largest_first(queue: Queue, hand: Hand) -> None:
    rows = [die_of(hand, b"ValueError: row %d\n" % number, queue=f"q{number % 2}") for number in range(4)]
    die_of(hand, b"disk on fire\n")
    first, second = queue.dead_groups()
    assert (first.number, first.queues, first.sample.id) == (4, ("q0", "q1"), rows[-1])
    assert (second.number, second.sample.last_line) == (1, "disk on fire")
    assert sum(first.hours) == 4 == first.hours[-1]
    assert first.first_at <= first.last_at
    assert [group.number for group in queue.dead_groups(1)] == [4]


def test_a_job_leaves_its_group_when_it_is_replayed_or_purged(queue: Queue, hand: Hand) -> None:
    one, two, three = (die_of(hand, b"out of luck\n") for _ in range(3))
    queue.replay(one)
    queue.purge(two)
    (group,) = queue.dead_groups()
    assert (group.number, group.sample.id) == (1, three)
    queue.undo()
    assert queue.dead_groups()[0].number == 2


def test_a_filter_finds_the_jobs_of_a_group(queue: Queue, hand: Hand) -> None:
    wanted = [die_of(hand, b"out of luck %d\n" % number) for number in range(3)]
    other = die_of(hand, b"disk on fire\n")
    digits = fingerprint_text(queue.job(wanted[0]).fingerprint or 0)
    assert set(queue.ids(View((State.DEAD,), (Term("group", digits),)))) == set(wanted)
    assert queue.ids(View((State.DEAD,), (Term("group", digits, True),))) == [other]


def test_what_died_before_is_read_when_it_is_looked_at(queue: Queue, hand: Hand) -> None:
    """Output in its row; output in a file is read from there; one that is gone counts as silent."""
    short = die_of(hand, b"out of luck 1\n", is_described=False)
    new = die_of(hand, b"out of luck 2\n")
    assert {group.fingerprint for group in queue.dead_groups()} == {None, queue.job(new).fingerprint}
    seen: list[int] = []
    assert queue.read_last_words(progress=lambda done, _: seen.append(done)) == 1
    assert seen == [1]
    (group,) = queue.dead_groups()
    assert group.number == 2
    assert queue.attempts(short)[0].last_line == "out of luck 1"
    assert queue.read_last_words() == 0


def test_long_outputs_are_read_from_their_end(queue: Queue, hand: Hand) -> None:
    queue.add(NewJob("false", max_attempts=1))
    (claim,) = hand.claim()
    with open(queue.storage.spool.output_file(claim.attempt_id), "wb") as file:
        file.write(b"line\n" * 40_000 + b"error: at last\n")
    hand.step([(claim, Ending(Outcome.FAILED, exit_code=1, run_ms=1, output=None, output_bytes=200_015))])
    assert queue.read_last_words() == 1
    assert queue.job(claim.job.id).last_line == "error: at last"


def test_many_of_them_are_read_in_several_transactions(queue: Queue, hand: Hand) -> None:
    """1,200 more, as copies of the first in the file."""
    die_of(hand, b"reason\n", is_described=False)
    with sqlite_of(queue).write() as one:
        names = ", ".join(
            row[1] for row in one.execute("PRAGMA table_info(jobs)") if row[1] not in ("id", "attempt_id")
        )
        jobs = f"INSERT INTO jobs (id, attempt_id, {names}) SELECT :id, :id, {names} FROM jobs WHERE id = 1"
        attempts = (
            "INSERT INTO attempts (id, job_id, number, worker_id, started_at, ended_at, run_ms, outcome, exit_code,"
            " output_bytes, output) SELECT :id, :id, 1, worker_id, started_at, ended_at, run_ms, outcome, exit_code,"
            " output_bytes, output FROM attempts WHERE id = 1"
        )
        for number in range(10, 1210):
            one.execute(jobs, {"id": number})
            one.execute(attempts, {"id": number})
    assert queue.read_last_words() == 1201
    assert [group.number for group in queue.dead_groups()] == [1201]
