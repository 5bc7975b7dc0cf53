"""New jobs: what is stored of them, all or nothing, under ids that never come back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from core.errors import DatabaseReadOnly, JobNotFound, NameTaken, Refused, UsageError
from core.model import NewJob, Phase, State, View
from core.queue import Queue
from tests.fakes import FakeClock
from tests.storage.by_hand import Hand
from tests.storage.contract.engines import contents


def test_every_field_of_a_new_job_comes_back(queue: Queue, clock: FakeClock) -> None:
    """Nothing that a caller asked for is lost or rounded."""
    run_at = datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
    job = queue.enqueue(
        NewJob(
            "echo 'ünï' \n\techo 2",
            name="etl-1",
            queue="media",
            priority=-7,
            run_at=run_at,
            max_attempts=9,
            timeout_s=1.25,
            backoff_base=1.5,
            cwd="/tmp",
            env={"A": "1", "B": "x y"},
            label="a [red] label",
            ok_exit="24,0",
            dead_exit="64-78",
        )
    )
    assert (job.command, job.name, job.queue, job.priority, job.run_at) == (
        "echo 'ünï' \n\techo 2", "etl-1", "media", -7, run_at
    )  # fmt: skip
    assert (job.max_attempts, job.timeout_s, job.backoff_base, job.cwd) == (9, 1.25, 1.5, "/tmp")
    assert (dict(job.env), job.label) == ({"A": "1", "B": "x y"}, "a [red] label")
    assert (job.ok_exit, job.dead_exit, job.state, job.attempts) == ("0,24", "64-78", State.PENDING, 0)
    assert job.enqueued_at == job.since == datetime.fromtimestamp(clock.now_ms() / 1000, timezone.utc)
    assert queue.job("etl-1") == queue.job(job.id) == queue.job(str(job.id)) == job


def test_settings_are_the_defaults_at_the_moment_of_enqueueing(queue: Queue) -> None:
    """A later change of a setting does not reach back to jobs that exist."""
    queue.set("max-attempts", "7")
    queue.set("timeout", "5m")
    queue.set("backoff-base", "3")
    job = queue.enqueue("true")
    queue.set("max-attempts", "1")
    assert (job.max_attempts, job.timeout_s, job.backoff_base) == (7, 300.0, 3.0)
    assert queue.job(job.id).max_attempts == 7
    assert queue.enqueue("true", timeout_s=0).timeout_s is None


def test_a_name_that_exists_is_refused_and_adds_nothing(queue: Queue) -> None:
    """Whatever state that job is in, but purged."""
    queue.enqueue("true", name="etl")
    before = contents(queue)
    with pytest.raises(NameTaken, match="'etl'"):
        queue.enqueue("false", name="etl")
    assert contents(queue) == before
    queue.cancel("etl")
    with pytest.raises(NameTaken):
        queue.enqueue("false", name="etl")


def test_a_batch_is_in_order_and_its_ids_follow_each_other(queue: Queue) -> None:
    """The range that comes back is exactly the jobs, in the order they were given."""
    queue.enqueue("first")
    ids = queue.enqueue_many(NewJob(f"echo {number}", priority=number % 3) for number in range(2500))
    assert ids == range(2, 2502)
    assert [queue.job(job_id).command for job_id in (ids[0], ids[1000], ids[-1])] == [
        "echo 0", "echo 1000", "echo 2499"
    ]  # fmt: skip
    assert queue.count(View()) == 2501


def test_an_empty_batch_adds_nothing(queue: Queue) -> None:
    """No jobs, no ids, and no minute in which something was enqueued."""
    before = contents(queue)
    assert queue.enqueue_many([]) == range(0)
    assert contents(queue) == before


@pytest.mark.parametrize(
    ("spoiler", "error"),
    [
        (NewJob(" "), UsageError),
        (NewJob("a\0b"), UsageError),
        (NewJob("true", max_attempts=0), UsageError),
        (NewJob("true", timeout_s=-1), UsageError),
        (NewJob("true", ok_exit="300"), UsageError),
        (NewJob("true", name="42"), UsageError),
        (NewJob("true", env={"A=B": "1"}), UsageError),
        (NewJob("true", name="taken"), NameTaken),
        (NewJob("true", name="twice"), NameTaken),
        (NewJob("\udcff"), UsageError),
        (NewJob("x" * 200_000), UsageError),
    ],
)
def test_one_bad_job_spoils_its_whole_batch(queue: Queue, spoiler: NewJob, error: type[Exception]) -> None:
    """All or nothing, and the next batch on the same connection works."""
    queue.enqueue("true", name="taken")
    before = contents(queue)
    with pytest.raises(error):
        queue.enqueue_many([NewJob("true", name="twice"), NewJob("true"), spoiler, NewJob("true")])
    assert contents(queue) == before
    assert len(queue.enqueue_many([NewJob("true"), NewJob("true")])) == 2


def test_a_refused_job_names_its_place_in_the_batch(queue: Queue) -> None:
    """A person with a file of 100,000 lines is told which one."""
    with pytest.raises(UsageError, match=r"^job 3: the command is empty"):
        queue.enqueue_many([NewJob("true"), NewJob("true"), NewJob("")])


def test_a_source_that_fails_adds_nothing(queue: Queue) -> None:
    """An error of the caller's own, in the middle of a batch, leaves nothing behind and the queue usable."""

    def jobs() -> Iterator[NewJob]:
        yield NewJob("true")
        raise KeyError("mine")

    with pytest.raises(KeyError):
        queue.enqueue_many(jobs())
    assert queue.count(View()) == 0
    assert queue.enqueue("true").id == 1


def test_a_batch_may_read_the_queue_while_it_is_made(queue: Queue) -> None:
    """A source that looks at the queue it fills is not locked out by its own batch."""
    queue.enqueue("true")
    assert len(queue.enqueue_many(NewJob(f"echo {queue.count(View())}") for _ in range(3))) == 3
    assert [job.command for job in queue.jobs(View())] == ["true", "echo 1", "echo 1", "echo 1"]


def test_progress_counts_what_is_staged(queue: Queue) -> None:
    """A long batch says every thousand how far it is, and at its end."""
    seen: list[tuple[int, int]] = []
    queue.enqueue_many((NewJob("true") for _ in range(2500)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1000, 0), (2000, 0), (2500, 0)]


def test_ids_are_never_used_again(queue: Queue, hand: Hand) -> None:
    """Not after the newest jobs were removed for good, and not after a batch that failed."""
    for _ in range(3):
        queue.enqueue("true")
        hand.do_next()
    queue.purge(View())
    assert queue.empty_trash() == 3
    assert queue.enqueue("true").id == 4
    with pytest.raises(UsageError):
        queue.enqueue_many([NewJob("true"), NewJob("")])
    assert queue.enqueue("true").id == 5


def test_an_environment_is_stored_once(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand jobs from one shell share one row; another environment or mode gets its own."""
    queue.enqueue_many(NewJob("true") for _ in range(1000))
    queue.enqueue("true")
    assert len(contents(queue)["environments"]) == 1
    monkeypatch.setenv("COLOUR", "blue")
    queue.enqueue("true")
    queue.enqueue("true")
    assert len(contents(queue)["environments"]) == 2
    queue.set("capture-env", "all")
    queue.enqueue("true")
    assert len(contents(queue)["environments"]) == 3


def test_two_environments_of_one_digest_stay_apart(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest finds a row; only the text itself decides that it is the same."""
    monkeypatch.setattr("zlib.crc32", lambda data: 1)
    ids = []
    for colour in ("blue", "red", "blue"):
        monkeypatch.setenv("COLOUR", colour)
        ids.append(queue.enqueue("true").id)
    assert [queue.environment(job_id)["COLOUR"] for job_id in ids] == ["blue", "red", "blue"]
    assert len(contents(queue)["environments"]) == 2


def test_a_secret_is_masked_when_it_is_shown(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode ``all`` and ``--env`` store secrets because a person asked for it; they are shown to nobody."""
    monkeypatch.setenv("API_TOKEN", "hunter2")
    queue.set("capture-env", "all")
    job = queue.enqueue("true", env={"DB_PASSWORD": "hunter3", "COLOUR": "blue"})
    shown = queue.environment(job.id)
    assert (shown["API_TOKEN"], shown["DB_PASSWORD"], shown["COLOUR"]) == ("***", "***", "blue")


def test_a_secret_is_masked_in_the_history_of_an_edit(queue: Queue) -> None:
    """What ``--env`` gave before an edit is kept for undo, and shown without its secrets."""
    job = queue.enqueue("true", env={"DB_PASS": "hunter2", "COLOUR": "blue"})
    queue.edit(job.id, env={"COLOUR": "red"})
    (event,) = queue.history(job.id)
    assert event.before["env"] == '{"COLOUR": "blue", "DB_PASS": "***"}'
    queue.undo()
    assert queue.job(job.id).env == {"DB_PASS": "hunter2", "COLOUR": "blue"}


def test_mode_none_captures_nothing(queue: Queue) -> None:
    """Only what ``--env`` added is stored then."""
    queue.set("capture-env", "none")
    assert queue.environment(queue.enqueue("true", env={"A": "1"}).id) == {"A": "1"}


def test_a_job_from_a_directory_that_is_gone_is_refused(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for a person, not a traceback, for one job and for many."""
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    monkeypatch.chdir(doomed)
    doomed.rmdir()
    with pytest.raises(Refused, match="working directory no longer exists"):
        queue.enqueue("true")
    with pytest.raises(Refused, match="working directory no longer exists"):
        queue.enqueue_many([NewJob("true")])
    assert queue.count(View()) == 0


def test_a_job_from_a_directory_whose_name_is_not_text_is_refused(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory name that is not UTF-8 cannot be stored; the refusal says so."""
    strange = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(strange)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    monkeypatch.chdir(os.fsdecode(strange))
    with pytest.raises(UsageError, match="working directory is not valid UTF-8"):
        queue.enqueue("true")


def test_a_relative_directory_starts_where_the_caller_is(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is absolute, so that a worker elsewhere finds it."""
    monkeypatch.chdir(tmp_path)
    assert queue.enqueue("true", cwd="a/../b").cwd == str(tmp_path / "b")
    assert queue.enqueue("true").cwd == str(tmp_path)


def test_a_job_of_the_past_is_due_at_once(queue: Queue, hand: Hand, clock: FakeClock) -> None:
    """A time that has gone by is a job that is due, counted as waiting only since it was enqueued."""
    past = datetime.fromtimestamp(clock.now_ms() / 1000, timezone.utc) - timedelta(days=400)
    job_id = queue.enqueue("true", run_at=past).id
    assert hand.do_next() == job_id
    assert queue.metrics(60).wait_p95_s == pytest.approx(0, abs=0.001)


def test_a_time_that_has_gone_by_is_none(queue: Queue, clock: FakeClock) -> None:
    """Of one job, of many, of one that is kept back, and of an edit: nothing is left of it but when it was due."""
    now = queue.now()
    past = NewJob("true", run_at=now - timedelta(hours=1))
    ids = [queue.add(past), *queue.enqueue_many([past, past._replace(is_held=True)])]
    edited = queue.enqueue("true", run_at=now + timedelta(hours=1)).id
    queue.edit(edited, run_at=now - timedelta(hours=1))
    found = [queue.job(job_id) for job_id in (*ids, edited)]
    assert [(job.run_at, job.phase(now)) for job in found] == [
        (None, Phase.READY),
        (None, Phase.READY),
        (None, Phase.HELD),
        (None, Phase.READY),
    ]


def test_a_number_that_no_job_can_have_is_waited_for_by_none(queue: Queue) -> None:
    """Whether one job names it, or one of many."""
    job = NewJob("true", after=(10**20,))
    with pytest.raises(JobNotFound):
        queue.add(job)
    with pytest.raises(JobNotFound):
        queue.enqueue_many([job, job])
    assert queue.ids(View()) == []


def test_a_read_only_queue_takes_no_job(queue: Queue) -> None:
    """Neither one nor many, in one line."""
    with Queue(queue.path, is_read_only=True) as reader:
        with pytest.raises(DatabaseReadOnly):
            reader.enqueue("true")
        with pytest.raises(DatabaseReadOnly):
            reader.enqueue_many([NewJob("true")])
