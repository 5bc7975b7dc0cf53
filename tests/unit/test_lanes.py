"""Which ready jobs start where some need resources: against a model, and that no job waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from core.rules.lanes import Candidate, Choice, Demand, Stock, Verdict, chosen, given_twice, why_waiting
from core.rules.needs import check_needs, format_needs, needs_of

NAMES = ("cpu", "gpu", "license", "lock")


def model(
    jobs: Sequence[tuple[int, int, str, Mapping[str, int]]],
    capacities: Mapping[str, int],
    in_use: Mapping[str, int],
    rooms: Mapping[str, int],
    slots: int,
) -> list[int]:
    """Return the numbers of the jobs that start: the sentences of the rule one by one, without any lane or index."""
    total = {name: capacities.get(name, 1) for name in NAMES}
    free = {name: max(0, total[name] - in_use.get(name, 0)) for name in NAMES}
    room = dict(rooms)
    shares = Counter(name for _, needs in {(queue, str(sorted(n.items()))) for _, _, queue, n in jobs} for name in NAMES
                     if f"'{name}'" in needs)  # fmt: skip
    given_up: list[tuple[str, Mapping[str, int]]] = []
    started: list[int] = []
    for _, number, queue, needs in sorted(jobs, key=lambda job: (-job[0], job[1])):
        if len(started) == slots:
            break
        if room.get(queue, 1) <= 0 or (queue, needs) in given_up:
            continue
        if needs:
            line = sorted(needs, key=lambda name: (-shares[name], name))[0]
            if any(total[name] < needs[name] for name in needs):
                given_up.append((queue, needs))
                continue
            if free[line] == 0:
                given_up.append((queue, needs))
                room[queue] = room.get(queue, 1 << 30) - 1
                continue
        if all(free[name] >= needs[name] for name in needs):
            started.append(number)
        else:
            given_up.append((queue, needs))
        for name in needs:
            free[name] = max(0, free[name] - needs[name])
        if queue in room:
            room[queue] -= 1
    return started


def choice_of(
    jobs: Sequence[tuple[int, int, str, Mapping[str, int]]],
    capacities: Mapping[str, int],
    in_use: Mapping[str, int],
    rooms: Mapping[str, int],
) -> tuple[list[Candidate], Choice]:
    """Return the candidates and the choice among them, as an engine makes them."""
    lanes = {(queue, check_needs(needs) or ""): needs for _, _, queue, needs in jobs if needs}
    candidates = [
        Candidate(-priority, number, queue, check_needs(needs) or "") for priority, number, queue, needs in jobs
    ]
    stock = Stock(capacities, in_use, list(lanes.values()))
    return candidates, Choice(stock, lanes, rooms)


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_that_of_the_model(seed: int) -> None:
    """Of random jobs, capacities, limits and slots."""
    randomness = random.Random(seed)
    for _ in range(100):
        kinds: list[dict[str, int]] = [{}] + [
            {name: randomness.randint(1, 4) for name in randomness.sample(NAMES, randomness.randint(1, 3))}
            for _ in range(randomness.randint(1, 6))
        ]
        jobs = [
            (randomness.randint(0, 3), number, randomness.choice("ab"), randomness.choice(kinds))
            for number in range(randomness.randint(0, 25))
        ]
        capacities = {name: randomness.randint(0, 6) for name in randomness.sample(NAMES, randomness.randint(0, 4))}
        in_use = {name: randomness.randint(0, 4) for name in randomness.sample(NAMES, 2)}
        rooms = {queue: randomness.randint(-1, 3) for queue in randomness.sample("ab", randomness.randint(0, 2))}
        slots = randomness.randint(1, 12)
        candidates, choice = choice_of(jobs, capacities, in_use, rooms)
        randomness.shuffle(candidates)
        found = [candidate.id for candidate in chosen(candidates, choice, slots)[0]]
        assert found == model(jobs, capacities, in_use, rooms, slots)
        by_id = {number: needs for _, number, _, needs in jobs}
        used = Counter(in_use)
        for number in found:
            used.update(by_id[number])
        assert all(used[name] <= max(capacities.get(name, 1), in_use.get(name, 0)) for name in NAMES)


def test_a_big_job_starts_however_many_small_ones_come() -> None:
    """Small ones that come later are not given what is set aside for it; a greedy choice would never start it."""
    big = (0, 3, "default", {"gpu": 4, "license": 1})
    running: dict[int, int] = {0: 1, 1: 2, 2: 3, 4: 4}  # job -> when it ends
    waiting = [big, *((0, number, "default", {"gpu": 1}) for number in range(5, 9))]
    for now in range(1, 12):
        running = {number: end for number, end in running.items() if end > now}
        waiting.append((0, 100 + now, "default", {"gpu": 1}))
        candidates, choice = choice_of(waiting, {"gpu": 4}, {"gpu": len(running)}, {})
        started = {candidate.id for candidate in chosen(candidates, choice, 8)[0]}
        if 3 in started:
            return
        waiting = [job for job in waiting if job[1] not in started]
        running.update(dict.fromkeys(started, now + 4))
    raise AssertionError("the big job never started")


def test_what_a_job_waits_for_is_set_aside_and_what_it_cannot_get_is_not() -> None:
    """One that waits for two of four keeps them from a later one; one that needs more than there are does not."""
    one, two = {"gpu": 1}, {"gpu": 2}
    for first, verdicts in (
        (two, [Verdict.WAITS, Verdict.PASSED]),
        ({"gpu": 5}, [Verdict.PASSED, Verdict.STARTS]),
    ):
        candidates, choice = choice_of([(1, 1, "q", first), (0, 2, "q", one)], {"gpu": 4}, {"gpu": 3}, {})
        assert [choice.look(candidate) for candidate in candidates] == verdicts


def test_nothing_is_set_aside_for_a_queue_that_is_full_but_a_waiting_job_keeps_its_place_in_it() -> None:
    """The job without needs behind it would else take the queue's one place again and again."""
    jobs = [(1, 1, "q", {"gpu": 2}), (0, 2, "q", {}), (0, 3, "r", {"gpu": 1})]
    for room, verdicts in (
        (0, [Verdict.PASSED, Verdict.PASSED, Verdict.STARTS]),
        (1, [Verdict.WAITS, Verdict.PASSED, Verdict.PASSED]),
        (2, [Verdict.WAITS, Verdict.STARTS, Verdict.PASSED]),
    ):
        candidates, choice = choice_of(jobs, {"gpu": 2}, {"gpu": 1}, {"q": room})
        assert [choice.look(candidate) for candidate in candidates] == verdicts
        assert choice.kept_places == ({"q"} if room else set())


def test_the_line_of_a_lane_is_what_most_lanes_share() -> None:
    """While it is exhausted, the lane sets nothing of its other needs aside."""
    both = {"gpu": 1, "license": 1}
    jobs = [(1, 1, "q", both), (0, 2, "q", {"gpu": 1}), (0, 3, "q", {"license": 1}), (0, 4, "r", {"gpu": 1})]
    candidates, choice = choice_of(jobs, {}, {"gpu": 1}, {})
    assert choice.stock.line(both) == "gpu"
    assert [choice.look(candidate) for candidate in candidates] == [
        Verdict.PASSED,
        Verdict.PASSED,
        Verdict.STARTS,
        Verdict.PASSED,
    ]
    assert format_needs(needs_of(check_needs(both))) == "gpu,license"


def test_a_unit_that_two_jobs_have_is_named() -> None:
    """Of a resource that is counted by host only where both are on one host."""
    held = {"gpu": (0, 1), "disk": (0,)}
    demand = Demand({"gpu": (2, True)}, [(1, 7, held), (2, 8, {"gpu": (0,)}), (3, 7, {"gpu": (2,), "disk": (1,)})], [])
    assert given_twice(demand) == []
    assert given_twice(demand._replace(holders=[*demand.holders, (4, 7, {"gpu": (1,)})])) == ["gpu"]
    assert given_twice(demand._replace(holders=[*demand.holders, (4, 8, {"disk": (1,)})])) == ["disk"]


def test_a_reason_names_five_who_have_the_rest_at_the_most() -> None:
    """And how many more they are."""
    job = Candidate(0, 99, "q", '{"gpu":3}')
    for count, who in (
        (1, "1 has"),
        (2, "1 and 2 have"),
        (5, "1, 2, 3, 4 and 5 have"),
        (8, "1, 2, 3, 4, 5 and 3 more have"),
    ):
        holders = [(number, 0, {"gpu": (number,)}) for number in range(1, count + 1)]
        demand = Demand({"gpu": (count + 2, False)}, holders, [(job, {"gpu": 3})])
        assert why_waiting(job, {"gpu": 3}, demand, {"q"}) == f"needs gpu=3: 2 of {count + 2} free, {who} the rest"


def test_a_look_is_in_vain_only_if_no_job_with_needs_could_start_with_more_slots() -> None:
    """Whatever fills the slots meanwhile; not while one keeps its place in a limited queue."""
    none: dict[str, int] = {}
    plain, waits, fits = (5, 1, "q", none), (4, 2, "q", {"gpu": 2}), (3, 3, "r", {"disk": 1})
    rooms: dict[str, int]
    for jobs, rooms, is_in_vain in (
        ([plain, waits], {}, True),
        ([plain, waits, fits], {}, False),
        ([fits], {}, False),
        ([plain, waits], {"q": 3}, False),
        ([plain], {}, True),
    ):
        candidates, choice = choice_of(jobs, {"gpu": 2}, {"gpu": 1}, rooms)
        assert chosen(candidates, choice, 1)[1] is is_in_vain
