"""The one table of keys: no clashes, nothing forgotten, remapping that refuses what would be silent."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from core.model import State
from core.rules.filters import FIELDS
from queuectl_tui.dialogs.help import contexts_from, filter_terms
from queuectl_tui.key_target import KeyTarget
from queuectl_tui.keymap import (
    ACTIONS,
    ALIVE_TOGETHER,
    CONTEXTS,
    Action,
    KeyClash,
    alive,
    check_clashes,
    footer_actions,
    remapped,
)
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Pane
from tests.tui.harness import Stage, counted_layouts, screen_text, staged
from tests.tui.moments import queues_snapshot
from tests.tui.scene import busy_snapshot, idle_snapshot

pytestmark = pytest.mark.long


def test_no_key_means_two_things_where_both_are_alive() -> None:
    """A colliding binding would be dropped without a word."""
    check_clashes(ACTIONS)


def test_every_action_has_its_own_name_and_a_sentence() -> None:
    """Names are what remapping uses, sentences what the help shows."""
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        assert action.keys, action.id
        assert re.fullmatch(r"[A-Z].*\.", action.help), action.help
        assert action.context in CONTEXTS


@pytest.mark.parametrize("context", CONTEXTS)
async def test_every_action_works_on_the_dashboard(context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row names a function that the dashboard can do, whether there are jobs or none."""
    monkeypatch.setattr("subprocess.run", lambda *_, **__: None)
    monkeypatch.setattr("queuectl_tui.dialogs.export_output.free_path", lambda *_: Path(os.devnull) / "no")
    for snapshot in (busy_snapshot(), idle_snapshot()):
        actions = [action for action in ACTIONS if action.context == context]
        while actions:
            async with staged(snapshot) as stage:
                begun = _where_the_keys_go(stage)
                while actions and _where_the_keys_go(stage) == begun:
                    actions.pop(0).handler(stage.dashboard)
                    await stage.press()


def _where_the_keys_go(stage: Stage) -> object:
    """Return what an action would be done with now; ``None`` when the dashboard has ended."""
    if stage.app.return_code is not None:
        return None
    return stage.app.screen, stage.app.focused, stage.dashboard.context, stage.dashboard.panes.box.pane


def test_nothing_essential_is_on_a_key_that_terminals_swallow() -> None:
    """Function keys, ctrl+shift and ctrl+b are only ever a second way."""
    for action in ACTIONS:
        plain = [key for key in action.keys if not re.fullmatch(r"f\d+|ctrl\+shift\+.*|ctrl\+b", key)]
        assert plain, action.id


def test_a_key_that_is_taken_is_refused_with_both_names() -> None:
    """A person who remaps a key onto another learns which two want it."""
    with pytest.raises(KeyClash, match=r"'p' is both 'pause' and 'purge'|'p' is both 'purge' and 'pause'"):
        remapped({"purge": "p"})


def test_an_action_can_be_remapped_to_several_keys() -> None:
    """The new keys replace the old ones; all else stays."""
    table = {action.id: action for action in remapped({"purge": "x delete"})}
    assert table["purge"].keys == ("x", "delete")
    assert table["retry"].keys == ("r",)


@pytest.mark.parametrize("remaps", [{"fly": "x"}, {"purge": " "}])
def test_a_remapping_that_means_nothing_is_refused(remaps: dict[str, str]) -> None:
    """An unknown action or an empty key is an error, not a silence."""
    with pytest.raises(KeyClash):
        remapped(remaps)


def test_two_actions_may_share_a_key_where_they_never_meet() -> None:
    """The same key may filter a list and search an output."""
    table = (
        Action("one", ("/",), "lists", "", "One.", repr),
        Action("two", ("/",), "output", "", "Two.", repr),
    )
    check_clashes(table)


@pytest.mark.parametrize("place", list(ALIVE_TOGETHER))
def test_the_footer_shows_only_keys_that_work_here(place: str) -> None:
    """Each word in the footer is an action that is alive in that place."""
    assert set(footer_actions(ACTIONS, place)) <= set(alive(ACTIONS, place))


def test_the_footer_of_the_output_begins_with_what_works_only_there() -> None:
    """A narrow terminal shows follow and search, not enqueue and pause; the help is never left out."""
    named = footer_actions(ACTIONS, "output")
    assert [action.id for action in named[:5]] == ["follow", "wrap", "search", "previous_attempt", "compare"]
    assert named[-1].id == "help"


@pytest.mark.parametrize("place", list(ALIVE_TOGETHER))
def test_the_footer_of_a_dashboard_that_only_looks_names_no_key_that_changes_the_queue(place: str) -> None:
    named = footer_actions(ACTIONS, place, is_read_only=True)
    assert not any(action.is_write for action in named)
    assert [action for action in footer_actions(ACTIONS, place) if not action.is_write] == named


async def test_a_dashboard_that_only_looks_offers_no_enqueue() -> None:
    async with staged(busy_snapshot(), is_read_only=True) as stage:
        assert "filter" in stage.dashboard.footer.text
        assert "enqueue" not in stage.dashboard.footer.text
        await stage.press("e")
        assert "e: this dashboard only looks (--read-only)" in stage.toasts()


async def test_the_footer_of_a_row_of_text_names_its_keys_and_not_the_letters_that_are_text_there() -> None:
    preferences = Preferences(first_pane="dlq", recent_filters=["rsync"])
    async with staged(busy_snapshot(), preferences=preferences) as stage:
        footer, box = stage.dashboard.footer, stage.dashboard.panes.box
        await stage.press("/")
        assert footer.text == " ⏎ keep  Esc clear  ↑ earlier  "
        await stage.press("up")
        assert box.filter_bar.text == "rsync"
        await stage.pilot.click(footer, offset=(footer.text.index("keep"), 0))
        await stage.press()
        assert box.filter_text == "rsync"
        assert footer.text.startswith(" r replay  ")
        await stage.press("5", "/")
        assert footer.text == " ⏎ keep  Esc clear  "
        await stage.press("x", "escape")
        assert footer.text.startswith(" f follow  ")


async def test_the_footer_names_both_keys_of_what_goes_two_ways() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.press("4", "6")
        assert stage.dashboard.footer.text.startswith(" [ ] tab  ")
        await stage.press("7")
        assert "  ( ) limit  " in stage.dashboard.footer.text


async def test_the_footer_names_no_key_for_what_is_empty() -> None:
    async with staged(idle_snapshot()) as stage:
        await stage.press("6")
        assert "tab" not in stage.dashboard.footer.text
        stage.gateway.follower.scene = b""
        await stage.press("F")
        assert "search" not in stage.dashboard.footer.text
        await stage.press("8")
        stage.gateway.show(stage.gateway.scene._replace(workers=()))
        await stage.press()
        assert "slots used" not in screen_text(stage.app)


async def test_a_dashboard_that_only_looks_tells_of_no_key_behind_an_output() -> None:
    for is_read_only in (False, True):
        async with staged(busy_snapshot(), is_read_only=is_read_only) as stage:
            await stage.press("4")
            assert ("r replays" in screen_text(stage.app)) is not is_read_only
            assert "dead" in screen_text(stage.app)


def test_the_help_begins_with_the_pane_that_has_the_keys_and_has_all_others() -> None:
    assert contexts_from("lists")[:2] == ["jobs", "lists"]
    assert contexts_from("output")[:3] == ["output", "reading", "jobs"]
    assert contexts_from("follow")[:2] == ["follow", "reading"]
    assert contexts_from("queues")[:2] == ["queues", "rows"]
    for context in ALIVE_TOGETHER:
        assert sorted(contexts_from(context)) == sorted(CONTEXTS)


def test_the_help_has_the_whole_filter_language() -> None:
    """Each word before a colon, and the signs, with what they mean."""
    terms = filter_terms()
    written = " ".join(term for term, _ in terms)
    assert [field for field in FIELDS if f"{field}:" not in written] == []
    assert ("!term", "not this") in terms
    assert ("state:dead outcome:lost", "the state, or how the newest attempt ended") in terms


async def test_the_help_opens_at_the_focused_pane_without_names_for_the_settings() -> None:
    async with staged(busy_snapshot(), size=(120, 70)) as stage:
        await stage.press("5", "?")
        for _ in range(3000):
            shown = screen_text(stage.app)
            if "Enqueue a job" in shown:
                break
            await stage.pilot.pause(0.01)
        assert (
            shown.index("Follow the end of the output") < shown.index("Retry all jobs") < shown.index("Enqueue a job")
        )
        assert "find_previous" not in screen_text(stage.app)
        await stage.type("exit:1")
        assert "In a filter" in screen_text(stage.app)
        assert "exit:1 signal:9" in screen_text(stage.app)


@pytest.mark.parametrize("size", [(60, 18), (120, 40)])
async def test_what_a_key_does_has_most_of_a_line_of_the_help(size: tuple[int, int]) -> None:
    """The longest keys go on in a second line rather than take that from all; a title has the whole line."""
    async with staged(busy_snapshot(), size=size) as stage:
        await stage.press("?")
        await stage.type("retry under")
        shown = screen_text(stage.app)
        assert "Jobs (the marked ones, else the one under the cursor)" in shown
        assert "R             Retry all jobs of the pane that match" in shown


def _named(place: str, target: KeyTarget) -> list[str]:
    return [action.id for action in footer_actions(ACTIONS, place, target)]


@pytest.mark.parametrize(
    ("target", "verbs"),
    [
        (KeyTarget(State.PENDING), {"edit", "cancel", "hold"}),
        (KeyTarget(State.PENDING, is_delayed=True), {"retry", "edit", "cancel", "hold"}),
        (KeyTarget(State.RUNNING), {"cancel"}),
        (KeyTarget(State.COMPLETED), {"retry", "purge"}),
        (KeyTarget(State.CANCELLED), {"retry", "purge"}),
        (KeyTarget(State.DEAD), {"retry", "edit", "purge"}),
        (KeyTarget(), set()),
        (KeyTarget(State.RUNNING, marked=(State.RUNNING,)), {"cancel"}),
        (KeyTarget(State.PENDING, marked=(State.PENDING,)), {"retry", "edit", "cancel", "hold"}),
        (KeyTarget(State.DEAD, marked=(State.DEAD,)), {"retry", "edit", "purge"}),
    ],
)
def test_the_footer_names_the_verbs_that_work_on_the_job_or_on_the_marked_ones(
    target: KeyTarget, verbs: set[str]
) -> None:
    assert set(_named("lists", target)) & {"retry", "edit", "cancel", "purge", "hold"} == verbs


def test_the_footer_of_an_empty_list_names_nothing_that_needs_a_job() -> None:
    assert _named("lists", KeyTarget()) == ["enqueue", "pause", "help"]
    assert "groups" in _named("lists", KeyTarget(State.DEAD, has_list=True, has_dead=True))
    assert "groups" not in _named("lists", KeyTarget(State.PENDING, has_list=True))


def test_the_footer_of_an_empty_output_names_no_key_of_the_output() -> None:
    keys = {"follow", "wrap", "search", "previous_attempt", "compare", "pager", "save"}
    assert not keys & set(_named("output", KeyTarget(State.RUNNING)))
    assert keys <= set(_named("output", KeyTarget(State.DEAD, has_others=True, has_earlier=True, has_output=True)))


def test_the_nearest_keys_come_first_in_a_list_too() -> None:
    named = _named("lists", KeyTarget(State.DEAD, has_list=True, has_dead=True, has_started=True))
    assert named[:4] == ["retry", "edit", "purge", "groups"]
    assert named[-3:] == ["enqueue", "pause", "help"]


async def test_the_footer_follows_the_cursor_without_a_layout_or_a_question_to_the_queue() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.be_whole()
        await stage.press("4")
        footer = stage.dashboard.footer
        assert footer.text.startswith(" r replay  E edit  d purge  t group  ")
        await stage.press("1")
        texts = []
        asked = [verb for verb, *_ in stage.gateway.asked]
        with counted_layouts(stage.dashboard) as layouts:
            for _ in range(5):
                await stage.press("j")
                texts.append(footer.text)
        job_states = [row.job.run_at is not None for row in stage.dashboard.snapshot.panes[Pane.PENDING].rows[1:6]]
        assert [text.startswith(" r retry  ") for text in texts] == job_states
        assert len(set(job_states)) == 2
        assert layouts == []
        assert {verb for verb, *_ in stage.gateway.asked[len(asked) :]} <= {"detail", "hold", "want"}


async def test_the_footer_says_resume_while_all_is_paused_and_retry_only_for_what_waits() -> None:
    async with staged(busy_snapshot()._replace(is_paused=True)) as stage:
        assert "p resume" in stage.dashboard.footer.text
        await stage.press("2")
        assert "c cancel" in stage.dashboard.footer.text
        assert "retry" not in stage.dashboard.footer.text
        assert "replay" not in stage.dashboard.footer.text


async def test_the_footer_of_the_queues_follows_their_cursor() -> None:
    async with staged(queues_snapshot()) as stage:
        await stage.be_whole()
        await stage.press("7", "g")
        assert "u no limit" in stage.dashboard.footer.text
        assert "p pause" in stage.dashboard.footer.text
        await stage.press("j")
        assert "u no limit" not in stage.dashboard.footer.text
        await stage.press("G")
        assert "p resume" in stage.dashboard.footer.text
        await stage.press("8", "G")
        assert "s stop" not in stage.dashboard.footer.text
