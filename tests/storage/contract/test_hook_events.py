"""What follows the ends of jobs for those who want to know: each end once, alone or with others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from core.model import Job, NewJob, Outcome, State, Verb, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import ENDINGS, Hand


@pytest.fixture
def hand(queue: Queue) -> Iterator[Hand]:
    """Return a worker by hand."""
    with Hand(queue) as opened:
        yield opened


def hook_jobs(queue: Queue) -> list[Job]:
    """Return the jobs of hooks, the oldest first."""
    return [job for job in sorted(queue.jobs(View(), limit=5000), key=lambda job: job.id) if job.queue == "hooks"]


def events(queue: Queue, job: Job) -> list[dict[str, Any]]:
    """Return what the job of a hook is given."""
    return [json.loads(line) for line in queue.storage.hooks.lines(job.id)]


def die(opened: Queue, hand: Hand, **fields: Any) -> int:
    """Return a new job of which one attempt failed, which was its last."""
    job_id = opened.add(NewJob("exit 7", priority=100, **{"max_attempts": 1, **fields}))
    assert hand.do_next(Outcome.FAILED) == job_id
    return job_id


def test_a_death_adds_the_job_of_a_hook(queue: Queue, hand: Hand) -> None:
    """In the queue of hooks, with the hook's command and directory, five attempts, and what happened."""
    number = queue.add_hook("dead", "mail me", every_s=0, cwd="/")
    job_id = die(queue, hand, name="nightly", queue="media")
    (job,) = hook_jobs(queue)
    assert (job.command, job.cwd, job.max_attempts, job.label, job.state) == (
        "mail me", "/", 5, f"hook {number}", State.PENDING
    )  # fmt: skip
    assert job.env == {"QUEUECTL_HOOK": "dead"}
    (event,) = events(queue, job)
    assert event == {
        "event": "dead",
        "id": job_id,
        "name": "nightly",
        "queue": "media",
        "command": "exit 7",
        "state": "dead",
        "attempt": 1,
        "exit_code": 7,
        "signal": None,
        "last_words": event["last_words"],
        "ended_at": event["ended_at"],
    }
    assert queue.counts().of(State.PENDING, "hooks") == 1


def test_a_hook_wants_its_event_of_its_queue_alone(queue: Queue, hand: Hand) -> None:
    """A completion is no death, another queue is not the hook's, and a retry is neither."""
    queue.add_hook("dead", "a", queue="media", every_s=0)
    queue.add_hook("complete", "b", queue="media", every_s=0)
    die(queue, hand)
    retried = die(queue, hand, queue="media", max_attempts=2)
    assert hook_jobs(queue) == []
    queue.retry(retried)
    assert hand.do_next(Outcome.SUCCEEDED) == retried
    die(queue, hand, queue="media")
    assert [(job.command, len(events(queue, job))) for job in hook_jobs(queue)] == [("b", 1), ("a", 1)]


def test_no_hook_reacts_to_the_job_of_a_hook(queue: Queue, hand: Hand) -> None:
    """Neither to its completion nor to its death, or to its queue running empty; nor where it was moved to."""
    queue.add_hook("dead", "a", every_s=0)
    queue.add_hook("complete", "b", every_s=0)
    queue.add_hook("drained", "c", every_s=0, queue="media")
    die(queue, hand)
    (job,) = hook_jobs(queue)
    queue.edit(job.id, queue="media", max_attempts=1)
    assert hand.do_next(Outcome.FAILED) == job.id
    assert queue.job(job.id).state is State.DEAD
    queue.replay(job.id)
    assert hand.do_next(Outcome.SUCCEEDED) == job.id
    assert queue.counts().of(State.PENDING) == 0


def test_a_job_of_its_own_commands(queue: Queue, hand: Hand) -> None:
    """They run where the job ran, with its variables, at once; another end than theirs is not for them."""
    job_id = queue.add("x", on_dead="./page", on_complete="./next", cwd="/tmp", env={"A": "b"}, max_attempts=1)
    hand.do_next(Outcome.FAILED)
    queue.replay(job_id)
    assert queue.storage.jobs.job("1").id == job_id
    page = hook_jobs(queue)[0]
    assert (page.command, page.cwd, page.env, page.label) == (
        "./page", "/tmp", {"A": "b", "QUEUECTL_HOOK": "dead"}, f"on dead of {job_id}"
    )  # fmt: skip
    queue.edit(page.id, priority=-5)
    assert hand.do_next(Outcome.SUCCEEDED) == job_id
    assert [job.command for job in hook_jobs(queue)] == ["./page", "./next"]


def test_many_deaths_in_a_window_are_one_digest(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """They join the job that is delayed until the window ends; then a new one begins to gather."""
    number = queue.add_hook("dead", "mail me", every_s=60)
    first = [die(queue, hand)]
    clock.advance(20)
    first += [die(queue, hand), die(queue, hand)]
    (digest,) = hook_jobs(queue)
    assert (digest.run_at, [event["id"] for event in events(queue, digest)]) == (
        digest.enqueued_at + timedelta(seconds=60), first
    )  # fmt: skip
    assert [hook.gathering for hook in queue.hooks() if hook.id == number] == [digest.id]
    clock.advance(40)
    assert [hook.gathering for hook in queue.hooks()] == [None], "its window is over"
    second = die(queue, hand)
    assert [[event["id"] for event in events(queue, job)] for job in hook_jobs(queue)] == [first, [second]]


@pytest.mark.parametrize("verb", [Verb.CANCEL, Verb.RETRY, Verb.PURGE, Verb.HOLD])
def test_what_does_not_gather_any_more_is_not_joined(queue: Queue, hand: Hand, verb: Verb) -> None:
    """A digest that was cancelled, made to run now, purged or held: what happens next has a job of its own."""
    queue.add_hook("dead", "mail me", every_s=60)
    die(queue, hand)
    (digest,) = hook_jobs(queue)
    if verb is Verb.RETRY:
        queue.retry(digest.id)
    elif verb is Verb.HOLD:
        queue.hold(digest.id)
    else:
        queue.cancel(digest.id)
    if verb is Verb.PURGE:
        queue.purge(digest.id)
    assert [hook.gathering for hook in queue.hooks()] == [None]
    later = die(queue, hand)
    newest = hook_jobs(queue)[-1]
    assert newest.id != digest.id
    assert [event["id"] for event in events(queue, newest)] == [later]


def test_a_digest_that_failed_once_is_given_the_same_again(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """While it waits for its next attempt, nothing joins it."""
    queue.add_hook("dead", "mail me", every_s=60)
    first = die(queue, hand)
    (digest,) = hook_jobs(queue)
    clock.advance(60)
    assert hand.do_next(Outcome.FAILED) == digest.id
    assert queue.job(digest.id).state is State.PENDING
    second = die(queue, hand)
    assert [[event["id"] for event in events(queue, job)] for job in hook_jobs(queue)] == [[first], [second]]


def test_a_death_that_is_undone_keeps_its_event_and_dying_again_is_another(queue: Queue, hand: Hand) -> None:
    """An undo that puts a replayed job back among the dead is no death."""
    queue.add_hook("dead", "a", every_s=0)
    job_id = die(queue, hand)
    act = queue.replay(job_id)
    queue.undo(act.id)
    assert queue.job(job_id).state is State.DEAD
    assert len(hook_jobs(queue)) == 1
    queue.edit(job_id, priority=200, then_retry=True)
    assert hand.do_next(Outcome.FAILED) == job_id
    assert [[event["attempt"] for event in events(queue, job)] for job in hook_jobs(queue)] == [[1], [2]]


def test_a_removed_hook_reacts_no_more_and_its_digest_runs(queue: Queue, hand: Hand) -> None:
    """What it has gathered was promised."""
    number = queue.add_hook("dead", "a", every_s=60)
    died = die(queue, hand)
    queue.remove_hook(number)
    die(queue, hand)
    (digest,) = hook_jobs(queue)
    assert (digest.state, [event["id"] for event in events(queue, digest)]) == (State.PENDING, [died])


# --- drained


def test_a_queue_is_drained_when_its_last_job_ends(queue: Queue, hand: Hand) -> None:
    """Not while one waits, delayed or held; whatever the end is, a cancel of one that never started too."""
    queue.add_hook("drained", "a", queue="media", every_s=0)
    queue.enqueue_many([NewJob(command, queue="media", max_attempts=1) for command in "abc"])
    held = queue.add(NewJob("d", queue="media", run_at=queue.now() + timedelta(hours=1)))
    for outcome in (Outcome.SUCCEEDED, Outcome.SPAWN_ERROR, Outcome.SUCCEEDED):
        hand.do_next(outcome)
    assert hook_jobs(queue) == []
    queue.cancel(held)
    (job,) = hook_jobs(queue)
    (event,) = events(queue, job)
    assert (event["event"], event["queue"], event["state"]) == ("drained", "media", "cancelled")


def test_jobs_of_a_queue_that_end_together_drain_it_once(queue: Queue, hand: Hand) -> None:
    """And again when it was filled again; another queue's jobs do not matter."""
    queue.add_hook("drained", "a", every_s=0)
    queue.enqueue_many([NewJob(command, queue="media") for command in "ab"])
    queue.add(NewJob("c", queue="other", run_at=queue.now() + timedelta(hours=1)))
    claims = hand.claim(2)
    hand.step([(claim, ENDINGS[Outcome.SUCCEEDED]) for claim in claims])
    assert len(hook_jobs(queue)) == 1
    queue.add(NewJob("d", queue="media", priority=100))
    hand.do_next()
    assert [events(queue, job)[0]["queue"] for job in hook_jobs(queue)] == ["media", "media"]


def test_who_cancels_everything_draws_the_consequences_at_once(queue: Queue) -> None:
    """No worker need come by; a thousand jobs are one drain."""
    queue.add_hook("drained", "a", every_s=60)
    queue.cancel(list(queue.enqueue_many(["true"] * 1200)))
    (job,) = hook_jobs(queue)
    assert len(events(queue, job)) == 1
