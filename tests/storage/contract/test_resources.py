"""Resources: what jobs need is never given twice, set aside for whoever is first, and named where it is lacking."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from core.clock import to_datetime
from core.errors import Refused, UsageError
from core.model import NewJob, Outcome, Phase, State, View
from core.queue import Queue
from core.rules.filters import parse_filter
from core.rules.needs import format_needs, parse_needs
from core.storage.values import Claim
from tests.fakes import FakeClock
from tests.storage.by_hand import ENDINGS, Hand
from tests.unit.test_lanes import model


@pytest.fixture
def other(queue: Queue) -> Iterator[Hand]:
    """Return a second registered worker, on a connection of its own."""
    with Queue(queue.path, clock=queue.storage.clock) as opened, Hand(opened) as registered:
        yield registered


def job(opened: Queue, needs: str = "", priority: int = 0, **more: object) -> int:
    """Add a job."""
    return opened.add(NewJob("true", needs=needs or None, priority=priority, max_attempts=2), **more)


def ids(claims: object) -> list[int]:
    """Return the numbers of claimed jobs."""
    assert isinstance(claims, list)
    return [claim.job.id for claim in claims if isinstance(claim, Claim)]


def test_a_resource_that_was_never_set_is_a_lock(queue: Queue, hand: Hand, other: Hand) -> None:
    """One job has it at a time, on whichever worker; its ending lets the next one start in the same step."""
    first, second = job(queue, "db"), job(queue, "db")
    (claim,) = hand.claim(5)
    assert (claim.job.id, claim.job.needs, claim.units) == (first, {"db": 1}, {"db": [0]})
    assert other.claim(5) == hand.claim(5) == []
    step = hand.step([(claim, ENDINGS[Outcome.SUCCEEDED])], slots=5)
    assert ids(step.claimed) == [second]


def test_units_are_the_lowest_that_are_free_and_kept_with_the_attempt(queue: Queue, hand: Hand, other: Hand) -> None:
    """Also after it ended, for whoever asks where it ran."""
    queue.set_resource("gpu", 4)
    first, second, third = job(queue, "gpu=2"), job(queue, "gpu"), job(queue, "gpu=2")
    one, two = hand.claim(2)
    assert (dict(one.units), dict(two.units)) == ({"gpu": [0, 1]}, {"gpu": [2]})
    assert other.claim(1) == []
    hand.record(one)
    (three,) = other.claim(1)
    assert (three.job.id, dict(three.units)) == (third, {"gpu": [0, 1]})
    assert [dict(queue.attempts(number)[0].units) for number in (first, second, third)] == [
        {"gpu": (0, 1)},
        {"gpu": (2,)},
        {"gpu": (0, 1)},
    ]


def test_what_an_earlier_job_waits_for_is_set_aside(queue: Queue, hand: Hand, other: Hand) -> None:
    """A later one that would fit waits until the earlier one has started; one that needs nothing does not."""
    queue.set_resource("gpu", 4)
    running = [job(queue, "gpu=3")]
    (claim,) = hand.claim(1)
    big, small, plain = job(queue, "gpu=4"), job(queue, "gpu"), job(queue)
    assert ids(other.claim(5)) == [plain]
    assert queue.waiting(small) is not None
    hand.record(claim)
    (big_claim,) = other.claim(5)
    assert big_claim.job.id == big
    other.record(big_claim)
    assert ids(hand.claim(5)) == [small]
    assert running == [claim.job.id]


def test_a_paused_queue_sets_nothing_aside(queue: Queue, hand: Hand) -> None:
    """Nor does one that the worker does not serve; once it is resumed its job comes first."""
    first = job(queue, "db", priority=5, queue="media")
    second = job(queue, "db")
    queue.pause("media")
    (claim,) = hand.claim(5)
    assert claim.job.id == second
    queue.resume("media")
    assert ids(hand.step([(claim, ENDINGS[Outcome.SUCCEEDED])], slots=5).claimed) == [first]


def test_a_full_queue_sets_nothing_aside_and_one_with_room_keeps_a_place(queue: Queue, hand: Hand, other: Hand) -> None:
    """The job that waits for a resource is not overtaken for ever by those behind it in its limited queue."""
    queue.limit("media", 1)
    plain = job(queue, queue="media")
    (running,) = hand.claim(1)
    waiting, behind, elsewhere = job(queue, "db", queue="media"), job(queue, queue="media"), job(queue, "db")
    assert ids(other.claim(5)) == [elsewhere]  # the queue is full
    step = hand.step([(running, ENDINGS[Outcome.SUCCEEDED])], slots=5)
    assert step.claimed == []  # and now it has room, which is kept for the one that waits for db
    assert [queue.job(number).state for number in (plain, waiting, behind)] == [
        State.COMPLETED,
        State.PENDING,
        State.PENDING,
    ]


def test_capacities_that_are_lowered_or_closed(queue: Queue, hand: Hand, other: Hand) -> None:
    """Running jobs go on; none starts until there is room; one that needs too much keeps nothing from others."""
    queue.set_resource("gpu", 3)
    for _ in range(2):
        job(queue, "gpu")
    first, second = hand.claim(2)
    two, one = job(queue, "gpu=2"), job(queue, "gpu")
    queue.set_resource("gpu", 1)
    assert other.claim(5) == []
    hand.record(first)
    assert other.claim(5) == []
    hand.record(second)
    (third,) = other.claim(5)
    assert third.job.id == one
    queue.set_resource("gpu", 0)
    other.record(third)
    late = job(queue, "gpu")  # a closed resource may be opened again
    assert other.claim(5) == []
    queue.set_resource("gpu", 2)
    assert ids(other.claim(5)) == [two]
    queue.set_resource("gpu", 3)
    assert ids(other.claim(5)) == [late]


def test_needs_beyond_the_capacity_are_refused(queue: Queue, hand: Hand) -> None:
    """On enqueue, in a batch and in an edit; nothing is added or changed."""
    queue.set_resource("gpu", 2)
    fine = job(queue, "gpu=2")
    for add in (
        lambda: job(queue, "gpu=3"),
        lambda: queue.enqueue_many([NewJob("true"), NewJob("true", needs={"gpu": 3})]),
        lambda: queue.edit(fine, needs="gpu=3"),
    ):
        with pytest.raises(Refused) as caught:
            add()
        assert str(caught.value) == ("the job needs gpu=3; there are 2; 'queuectl resource set gpu 3' changes that")
    with pytest.raises(Refused, match="db was never set, so there is 1; 'queuectl resource set db 2'"):
        job(queue, "db=2")
    with pytest.raises(UsageError, match="not understood"):
        job(queue, "gpu=many")
    assert [queue.job(number).needs for number in (fine,)] == [{"gpu": 2}]
    assert hand.do_next() == fine
    assert hand.claim(5) == []


def test_a_retry_asks_again(queue: Queue, hand: Hand, other: Hand) -> None:
    """Nothing is kept between attempts: the lock goes to whoever is first."""
    first = job(queue, "db", priority=5)
    (claim,) = hand.claim()
    hand.record(claim, Outcome.FAILED)  # it waits for its back-off
    second = job(queue, "db")
    (its,) = other.claim()
    assert its.job.id == second
    queue.retry(first)
    assert hand.claim(5) == []
    other.record(its)
    assert ids(hand.claim(5)) == [first]


def test_an_adopted_attempt_keeps_its_units_and_one_given_back_does_not(queue: Queue, hand: Hand, other: Hand) -> None:
    """What a dead worker's command has is in use until it is known to have ended."""
    queue.set_resource("gpu", 2)
    first, second, third = (job(queue, "gpu") for _ in range(3))
    one, two = hand.claim(2)
    hand.die()
    assert other.claim(5) == []
    adopted = other.attempts.adopt(two.attempt_id, dead_worker=hand.id, worker_id=other.id)
    assert adopted is not None
    assert (adopted.job.id, dict(adopted.units), adopted.job.needs) == (second, {"gpu": (1,)}, {"gpu": 1})
    assert other.claim(5) == []
    assert other.attempts.give_back([one.attempt_id]) == set()
    (again,) = other.claim(1)
    assert (again.job.id, dict(again.units)) == (first, {"gpu": [0]})
    other.record(adopted, Outcome.LOST)  # its job is due again, and before the third
    assert [(claim.job.id, dict(claim.units)) for claim in other.claim(5)] == [(second, {"gpu": [1]})]
    assert queue.job(third).state is State.PENDING


def test_an_edit_changes_what_a_job_needs(queue: Queue, hand: Hand) -> None:
    """And its undo; a worker that found nothing to start looks again."""
    lock, waits = job(queue, "db"), job(queue, "db")
    hand.claim(1)
    assert hand.claim(1) == []
    act = queue.edit(waits, needs="disk")
    assert queue.job(waits).needs == {"disk": 1}
    assert queue.history(waits)[0].before["needs"] == '{"db":1}'
    queue.undo(act.id)
    assert queue.job(waits).needs == {"db": 1}
    assert hand.claim(1) == []
    queue.edit(waits, needs=None)
    assert queue.job(waits).needs is None
    assert ids(hand.claim(1)) == [waits]
    assert queue.job(lock).state is State.RUNNING


def test_delayed_jobs_need_what_they_need_once_they_are_due(queue: Queue, hand: Hand, other: Hand) -> None:
    """Before that they set nothing aside."""
    later = to_datetime(queue.storage.now_ms()) + timedelta(seconds=60)
    first = job(queue, "db", priority=9, run_at=later)
    second = job(queue, "db")
    (claim,) = hand.claim(5)
    assert claim.job.id == second
    clock = queue.storage.clock
    clock.advance(61)  # type: ignore[attr-defined] # the fake one
    assert other.claim(5) == []
    hand.record(claim)
    assert ids(other.claim(5)) == [first]


def test_lists_have_jobs_with_needs_in_their_place(queue: Queue, hand: Hand) -> None:
    """Of all queues, of one, and page by page."""
    wanted = [job(queue, "db" if number % 2 else "", priority=number % 3) for number in range(9)]
    order = sorted(wanted, key=lambda number: (-queue.job(number).priority, number))
    for view in (View((State.PENDING,)), View((State.PENDING,), parse_filter("queue:default"))):
        assert [row.job.id for row in queue.rows(view)] == order == queue.ids(view)
        assert queue.count(view) == 9
        found: list[int] = []
        key = None
        while rows := queue.rows(view, after=key, limit=2):
            found += [row.job.id for row in rows]
            key = rows[-1].key
        assert found == order
        assert [row.job.id for row in queue.last_rows(view, limit=4)] == order[-4:]
    assert queue.counts().of(State.PENDING) == 9


def test_the_reason_names_what_is_lacking_and_who_has_it(queue: Queue, hand: Hand) -> None:
    """In the words that users read everywhere."""
    queue.set_resource("gpu", 4)
    one, two = job(queue, "gpu=2", priority=9), job(queue, "gpu", priority=9)
    hand.claim(2)
    big, small = job(queue, "gpu=4", priority=5), job(queue, "gpu")
    locked, waits = job(queue, "db", priority=9), job(queue, "db")
    hand.claim(1)

    def reason(number: int) -> str:
        found = queue.waiting(number)
        assert found is not None
        assert found.phase is Phase.HELD
        return found.reason.split("; also, ")[0]

    assert reason(big) == f"needs gpu=4: 1 of 4 free, {one} and {two} have the rest"
    assert reason(waits) == f"needs db: {locked} has it"
    assert reason(small) == f"gpu is set aside for {big} (priority 5)"
    queue.set_resource("gpu", 3)
    assert reason(big) == "needs gpu=4, there are 3"
    free = job(queue, "disk")
    found = queue.waiting(free)
    assert found is not None
    assert found.phase is Phase.READY


def test_resources_are_listed_with_what_is_in_use_and_who_waits(queue: Queue, hand: Hand) -> None:
    """Those that were set, and those that are only used."""
    queue.set_resource("gpu", 4)
    queue.set_resource("license", 2, is_per_host=True)
    first, second, third = job(queue, "gpu=3,db"), job(queue, "gpu=2"), job(queue, "db")
    hand.claim(5)
    infos = {info.name: info for info in queue.resources()}
    assert list(infos) == ["db", "gpu", "license"]
    gpu, db, license_ = infos["gpu"], infos["db"], infos["license"]
    assert (gpu.capacity, gpu.is_set, gpu.is_per_host, gpu.in_use, gpu.waiting, gpu.next_job) == (
        *(4, True, False, 3, 1),
        second,
    )
    assert (db.capacity, db.is_set, db.in_use, db.waiting, db.next_job, dict(db.holders)) == (
        *(1, False, 1, 1, third),
        {first: 1},
    )
    assert (license_.capacity, license_.is_per_host, license_.in_use, license_.waiting) == (2, True, 0, 0)
    queue.unset_resource("license")
    assert [info.name for info in queue.resources()] == ["db", "gpu"]
    with pytest.raises(Refused, match="the resource license is not set; see 'queuectl resource list'"):
        queue.unset_resource("license")
    for name, capacity in (("GPU", 1), ("gpu", -1), ("gpu", 10_001)):
        with pytest.raises(UsageError):
            queue.set_resource(name, capacity)


def test_the_doctor_names_what_jobs_wait_for_in_vain(queue: Queue, hand: Hand) -> None:
    """A closed resource, and more than there is since a capacity was lowered."""

    def said() -> list[str]:
        return [finding.message for finding in queue.doctor() if finding.check == "resources"]

    queue.set_resource("gpu", 4)
    waiting = job(queue, "gpu=3,db")
    assert said() == []
    queue.set_resource("gpu", 2)
    assert said() == ["jobs wait for gpu=3, and there are 2: for ever"]
    queue.set_resource("gpu", 0)
    assert said() == ["gpu is closed, and jobs wait for it"]
    queue.set_resource("gpu", 3)
    assert said() == []
    assert ids(hand.claim(1)) == [waiting]


def test_a_dependent_asks_for_what_it_needs_once_it_is_ready(queue: Queue, hand: Hand, other: Hand) -> None:
    """Before that it sets nothing aside; then a worker that found nothing to start looks again."""
    needed = job(queue)
    dependent = job(queue, "db", priority=9, after=[needed])
    lock, waits = job(queue, "db"), job(queue, "db")
    first, second = hand.claim(2)
    assert [first.job.id, second.job.id] == [needed, lock]
    assert other.claim(1) == []
    hand.record(second)
    (third,) = hand.claim(1)
    assert third.job.id == waits
    hand.record(first)
    assert other.claim(1) == []
    hand.record(third)
    assert ids(other.claim(1)) == [dependent]


def test_a_held_job_sets_nothing_aside_until_it_is_released(queue: Queue, hand: Hand) -> None:
    """Then it is first by its priority."""
    held, free, last = job(queue, "db", priority=9, is_held=True), job(queue, "db"), job(queue, "db")
    assert hand.do_next() == free
    queue.release(held)
    assert hand.do_next() == held
    assert hand.do_next() == last


Change = Callable[[], object]


def _capacity(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    return job(queue, "gpu=2"), lambda: queue.set_resource("gpu", 3)


def _edit(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    waiting = job(queue, "gpu=2")
    return waiting, lambda: queue.edit(waiting, needs="gpu")


def _cancel_of_one_before(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    before = job(queue, "gpu=2", priority=5)
    return job(queue, "gpu"), lambda: queue.cancel(before)


def _resume(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    queue.pause("q")
    return job(queue, "gpu", queue="q"), lambda: queue.resume("q")


def _resume_all(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    queue.pause()
    return job(queue, "gpu"), queue.resume


def _limit(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    queue.limit("q", 0)
    return job(queue, "gpu", queue="q"), lambda: queue.limit("q", 1)


def _time(queue: Queue, clock: FakeClock) -> tuple[int, Change]:
    return job(queue, "gpu", run_at=queue.now() + timedelta(seconds=9)), lambda: clock.advance(10)


#: What brings a job about that waits while one of two units is in use, and the change that lets it start.
CHANGES = (_capacity, _edit, _cancel_of_one_before, _resume, _resume_all, _limit, _time)


@pytest.mark.parametrize("waiting", CHANGES)
def test_a_worker_that_found_nothing_looks_again_after(
    queue: Queue, hand: Hand, clock: FakeClock, waiting: Callable[[Queue, FakeClock], tuple[int, Change]]
) -> None:
    """A job may start now; what the worker remembers of its last looks does not hold."""
    queue.set_resource("gpu", 2)
    job(queue, "gpu", priority=9)
    hand.claim(1)
    wanted, change = waiting(queue, clock)
    assert hand.claim(1) == []
    assert hand.claim(1) == []
    change()
    assert ids(hand.claim(1)) == [wanted]


@pytest.mark.parametrize("capacity", [0, 1])
def test_a_drain_does_not_wait_for_what_is_out_of_reach(queue: Queue, hand: Hand, capacity: int) -> None:
    """A user may set more; until then such a job would keep a worker for ever."""
    queue.set_resource("gpu", 2)
    first = queue.add("true", needs={"gpu": 2, "lock": 1})
    drain, of_others = queue.storage.drain(()), queue.storage.drain(["other"])
    queue.set_resource("gpu", capacity)
    assert hand.claim(9) == []
    assert drain.is_over()
    queue.add("true", needs="lock", queue="other")
    assert not drain.is_over()
    assert not of_others.is_over()
    (claim,) = hand.claim(9)
    assert not drain.is_over()
    hand.record(claim)
    assert drain.is_over()
    queue.add("true", queue="other")
    assert not of_others.is_over()
    hand.do_next()
    assert of_others.is_over()
    queue.set_resource("gpu", 2)
    assert not drain.is_over()
    assert of_others.is_over()
    assert hand.do_next() == first
    assert drain.is_over()


@pytest.mark.parametrize("seed", range(6))
def test_claims_are_those_of_the_model(queue: Queue, hand: Hand, other: Hand, seed: int) -> None:
    """Random jobs, endings, capacities, pauses and limits: a step claims what the rule says; nothing leaks."""
    randomness = random.Random(seed)
    kinds = ["", "cpu", "cpu=2", "gpu", "cpu,gpu", "gpu=2,lock", "lock", "cpu=3"]
    capacities: dict[str, int] = {}
    limits: dict[str, int] = {}
    running: dict[int, tuple[Hand, Claim]] = {}
    for name, capacity in (("cpu", 3), ("gpu", 2)):
        capacities[name] = capacity
        queue.set_resource(name, capacity)
    pending: dict[int, tuple[int, str, str]] = {}
    for _ in range(60):
        act = randomness.random()
        if act < 0.45:
            one = (randomness.randint(0, 2), randomness.choice("ab"), randomness.choice(kinds))
            if any(number > max(1, capacities.get(name, 1)) for name, number in needs_in(one[2]).items()):
                continue
            pending[queue.add(NewJob("true", priority=one[0], queue=one[1], needs=one[2] or None))] = one
        elif act < 0.55:
            name = randomness.choice(["cpu", "gpu"])
            capacities[name] = randomness.randint(0, 4)
            queue.set_resource(name, capacities[name])
        elif act < 0.62:
            name = randomness.choice("ab")
            limits[name] = randomness.randint(0, 3)
            queue.limit(name, limits[name])
        else:
            worker = randomness.choice([hand, other])
            mine = [number for number, (owner, _) in running.items() if owner is worker]
            ended = randomness.sample(mine, randomness.randint(0, len(mine)))
            endings = [(running.pop(number)[1], ENDINGS[Outcome.SUCCEEDED]) for number in ended]
            in_use = Counter[str]()
            for _, claim in running.values():
                in_use.update(claim.job.needs or {})
            rooms = {
                name: limit - sum(claim.job.queue == name for _, claim in running.values())
                for name, limit in limits.items()
            }
            slots = randomness.randint(1, 4)
            jobs = [(rank, number, name, needs_in(text)) for number, (rank, name, text) in pending.items()]
            step = worker.step(endings, slots)
            assert ids(step.claimed) == model(jobs, capacities, in_use, rooms, slots)
            for claim in step.claimed:
                del pending[claim.job.id]
                running[claim.job.id] = (worker, claim)
            given = [
                (name, unit) for _, claim in running.values() for name in claim.units for unit in claim.units[name]
            ]
            assert len(given) == len(set(given))


def needs_in(text: str) -> dict[str, int]:
    """Return needs by name, as the model has them."""
    assert format_needs(parse_needs(text)) == ",".join(sorted(text.split(",")))
    return parse_needs(text)
