"""How many commands may run after the system refused one, without a clock or a process."""

from __future__ import annotations

from core.execution.spawn_limit import FIRST_PAUSE_S, LONGEST_PAUSE_S, SpawnLimit

NOW_S = 5000.0


def test_without_a_refusal_all_slots_may_be_in_use() -> None:
    """Nothing limits a worker but its slots."""
    limit = SpawnLimit()
    assert (limit.of(8, NOW_S), limit.pause_s, limit.refusal) == (8, 0.0, None)


def test_after_a_refusal_as_many_run_as_had_run() -> None:
    """For the first pause: what ran beside the endings of one step counts, too. Then all slots are tried again."""
    limit = SpawnLimit()
    limit.ended(2, live=3)
    assert limit.refused("no processes", live=4, now_s=NOW_S)
    assert limit.of(8, NOW_S) == 5
    assert limit.of(2, NOW_S) == 2, "never more than slots"
    assert limit.refusal == "no room for more commands: no processes"
    assert limit.of(8, NOW_S + FIRST_PAUSE_S) == 8


def test_a_refusal_within_a_pause_lowers_the_number_and_is_no_new_pause() -> None:
    """Down to none, since other programs may take what there was."""
    limit = SpawnLimit()
    limit.ended(1, live=3)
    limit.refused("no processes", live=3, now_s=NOW_S)
    for live in (2, 0):
        assert not limit.refused("no processes", live=live, now_s=NOW_S + 0.1)
        assert limit.of(8, NOW_S + 0.1) == live
    assert limit.pause_s == FIRST_PAUSE_S


def test_pauses_double_up_to_the_longest() -> None:
    """1, 2, 4 … 30 seconds, as long as each try after a pause is refused."""
    limit, now_s, pauses = SpawnLimit(), NOW_S, []
    for _ in range(7):
        assert limit.refused("no processes", live=0, now_s=now_s)
        pauses.append(limit.pause_s)
        now_s += limit.pause_s
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_command_that_ended_after_the_pause_shows_that_there_is_room() -> None:
    """One that was only started does not, nor one that ended within the pause: it may have been running before."""
    limit = SpawnLimit()
    limit.refused("no processes", live=1, now_s=NOW_S)
    limit.unrefused(claimed=1, recorded=0, now_s=NOW_S + 2)
    limit.unrefused(claimed=1, recorded=1, now_s=NOW_S + 0.5)
    assert limit.pause_s == FIRST_PAUSE_S
    limit.unrefused(claimed=1, recorded=1, now_s=NOW_S + 2)
    assert (limit.pause_s, limit.refusal) == (0.0, None)


def test_nothing_left_to_claim_ends_the_trouble() -> None:
    """With room for more and no job for it there is nothing to warn of."""
    limit = SpawnLimit()
    limit.refused("no processes", live=1, now_s=NOW_S)
    limit.unrefused(claimed=0, recorded=0, now_s=NOW_S + 0.5)
    assert limit.refusal is None
