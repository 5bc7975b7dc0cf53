"""What a person does at the dashboard, by key: look, mark, act, confirm, undo, filter, sort, go about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.model import Act, LastAct, NewJob, Sort, Term, View
from queuectl_tui.dialogs.enqueue import EnqueueScreen
from queuectl_tui.dialogs.help import HelpScreen
from queuectl_tui.dialogs.quit_dialog import QuitScreen
from queuectl_tui.keymap import remapped
from queuectl_tui.messages import JobEnqueued, WorkerReported
from queuectl_tui.snapshot import Pane, PaneData
from queuectl_tui.widgets.confirm_bar import ConfirmBar
from tests.tui import scene
from tests.tui.harness import staged
from tests.tui.scene import BUSY_TOTALS, busy_snapshot, idle_snapshot, rows


async def test_the_digits_go_to_the_panes_and_tab_goes_round() -> None:
    """1 to 4 are the lists, 5 the output, 6 the detail; Tab goes through all of them."""
    async with staged(busy_snapshot()) as stage:
        for digit, pane in (("3", Pane.COMPLETED), ("4", Pane.DLQ), ("2", Pane.RUNNING), ("1", Pane.PENDING)):
            await stage.press(digit)
            assert (stage.dashboard.panes.box.pane, stage.dashboard.context) == (pane, "lists")
        places = []
        for _ in range(6):
            await stage.press("tab")
            places.append(stage.dashboard.context)
        assert places == ["lists", "lists", "lists", "output", "detail", "lists"]
        assert stage.dashboard.panes.box.pane is Pane.PENDING


async def test_going_to_a_pane_shows_the_job_under_its_cursor() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4")
        assert stage.dashboard.panes.shown.detail is not None
        assert stage.dashboard.panes.shown.detail.job.id == 9981
        await stage.press("j", "j")
        assert stage.dashboard.panes.shown.detail.job.id == 9975


async def test_retry_replays_the_dead_job_under_the_cursor_at_once() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "j", "r")
        assert stage.asked("replay") == [([9978],)]


async def test_thirty_marked_jobs_are_retried_with_three_more_keys() -> None:
    """Mark with the space bar, ask once, say yes: no mouse and no typing."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", *["space"] * 10, "r")
        assert stage.dashboard.context == "confirm"
        assert stage.asked("replay") == []
        await stage.press("y")
        assert stage.asked("replay") == [(sorted(9981 - 3 * index for index in range(10)),)]
        assert stage.dashboard.table.marks.count == 0


async def test_a_purge_of_several_asks_and_no_leaves_everything_as_it_is() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "space", "space", "d")
        assert "Purge 2 dead jobs?" in stage.dashboard.confirm_bar.text
        await stage.press("n")
        assert stage.asked("purge") == []
        await stage.press("d", "y")
        assert stage.asked("purge") == [([9978, 9981],)]


async def test_a_purge_of_one_job_does_not_ask_for_it_can_be_undone() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "d")
        assert stage.dashboard.context == "lists"
        assert stage.asked("purge") == [([9981],)]


async def test_more_than_fifty_jobs_want_their_count_typed() -> None:
    """A yes is not enough for 98,201 jobs; a wrong count is said and the question stays."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "D", "y", "enter")
        assert stage.asked("purge") == []
        await stage.press("D", *"98202", "enter")
        assert stage.asked("purge") == []
        assert stage.dashboard.context == "confirm"
        assert any("98202 is not the count: type 98201" in said for said in stage.toasts())
        await stage.press(*"98201", "enter")
        assert stage.asked("purge") == [(View(states=Pane.COMPLETED.states),)]


async def test_all_that_match_are_marked_at_once_and_one_can_be_left_out() -> None:
    """A view, not a list of ids, stands for half a million jobs; what was unmarked stays out of it."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "ctrl+a")
        assert stage.dashboard.table.marks.count == BUSY_TOTALS[Pane.COMPLETED]
        await stage.press("space", "r", *"98200", "enter")
        [(selected,)] = stage.asked("replay")
        assert isinstance(selected, View)
        assert selected.terms == (Term("id", 10407, is_negated=True),)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("3", "c"), "c: cannot cancel job 10407: it is completed; it has already finished"),
        (("1", "d"), "d: cannot purge job 10412: it is pending; cancel it first"),
        (("2", "r"), "r: cannot retry job 10408: it is running; it is being tried now"),
        (("2", "E"), "E: cannot edit job 10408: it is running; cancel it or wait until it ends"),
        (("1", "K"), "K: job 10412 does not run; c cancels it"),
        (("1", "D"), "D: only finished jobs can be purged; cancel these first"),
        (("5", "n"), "n: search first, with /"),
    ],
)
async def test_a_key_that_cannot_act_says_why(keys: tuple[str, ...], said: str) -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press(*keys)
        assert said in stage.toasts()
        assert not [
            asked for asked in stage.gateway.asked if asked[0] in ("retry", "replay", "cancel", "purge", "edit")
        ]


async def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_after_asking() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("1", "c")
        assert stage.asked("cancel") == [([10412],)]
        await stage.press("2", "K")
        assert "Kill running job?" in stage.dashboard.confirm_bar.text
        await stage.press("y")
        assert stage.asked("kill") == [([10408],)]


async def test_z_names_what_it_undoes_and_asks() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("z")
        assert "Undo purge of 17 jobs, 0s ago?" in stage.dashboard.confirm_bar.text
        assert "python etl.py +16" in stage.dashboard.confirm_bar.text
        assert stage.asked("undo") == []
        await stage.press("n")
        await stage.press("z")
        await stage.press("y")
        assert stage.asked("undo") == [(7,)]


async def test_z_says_when_there_is_nothing_it_can_undo() -> None:
    """It does not go on to an older act."""
    async with staged(busy_snapshot()) as stage:
        act = LastAct(Act(8, "cancel", 1), scene.NOW, "sleep 9", "running jobs were asked to stop")
        stage.gateway.last_act = act
        await stage.press("z")
        assert stage.toasts() == ["z: the last act, cancel of 1 job, cannot be undone: running jobs were asked to stop"]
        stage.gateway.last_act = None
        await stage.press("z")
        assert stage.toasts()[-1] == "z: there is nothing to undo"
        assert stage.dashboard.context == "lists"


async def test_pause_and_slots_are_one_key_each() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("p", ")", "(")
        assert stage.gateway.asked[-3:] == [("pause", None, True), ("resize", 1), ("resize", -1)]
        stage.gateway.show(stage.gateway.scene._replace(is_paused=True))
        await stage.press("p")
        assert stage.gateway.asked[-1] == ("pause", None, False)


async def test_a_dashboard_that_only_looks_changes_nothing() -> None:
    """Every key that would write says why it does not."""
    async with staged(busy_snapshot(), is_read_only=True) as stage:
        await stage.press("4", "r", "d", "E", "D", "R", "e", "p", "z", "1", "c", "K")
        written = {"retry", "replay", "purge", "edit", "enqueue", "pause", "undo", "cancel", "kill"}
        assert not [asked for asked in stage.gateway.asked if asked[0] in written]
        assert all("only looks" in said for said in stage.toasts())


async def test_the_form_enqueues_what_was_typed_and_remembers_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    async with staged(idle_snapshot(), preferences_path=str(path)) as stage:
        await stage.press("e")
        assert isinstance(stage.app.screen, EnqueueScreen)
        await stage.type("echo hi")
        await stage.press("enter")
        await stage.pilot.pause()
        [(job,)] = stage.asked("enqueue")
        assert isinstance(job, NewJob)
        assert job.command == "echo hi"
        assert json.loads(path.read_text())["last_directory"] == job.cwd


async def test_a_new_job_is_stayed_with_until_the_person_moves_on() -> None:
    """Its output is shown while it goes through the panes; the next key in a list is about the list again."""
    async with staged(busy_snapshot()) as stage:
        stage.gateway.tell(JobEnqueued(10408))  # it runs already
        await stage.pilot.pause()
        assert stage.dashboard.panes.shown.detail is not None
        assert stage.dashboard.panes.shown.detail.job.id == 10408
        stage.gateway.show(stage.gateway.scene._replace())
        await stage.pilot.pause()
        assert stage.dashboard.panes.shown.detail.job.id == 10408
        await stage.press("c")
        assert stage.asked("cancel") == [([10412],)]
        assert stage.dashboard.panes.shown.detail is not None
        assert stage.dashboard.panes.shown.detail.job.id == 10412


async def test_a_dead_job_is_edited_and_then_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was changed is sent."""
    monkeypatch.setattr(scene, "DIRECTORY", "/")
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "j", "j", "j", "E")
        assert isinstance(stage.app.screen, EnqueueScreen)
        await stage.pilot.pause()
        await stage.press("end")
        await stage.type(" --fast")
        await stage.press("ctrl+s")
        await stage.pilot.pause()
        [(job_id, fields, then_retry)] = stage.asked("edit")
        assert (job_id, then_retry) == (9972, True)
        assert isinstance(fields, dict)
        assert set(fields) == {"command"}
        assert fields["command"].endswith(" --fast")


async def test_a_filter_is_live_and_esc_drops_it() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "/")
        await stage.type("restic")
        assert stage.dashboard.panes.box.filter_text == "restic"
        assert {row.job.command.split()[0] for row in stage.dashboard.table.cursor.data.rows} == {"restic"}
        await stage.press("enter")
        assert stage.dashboard.context == "lists"
        assert "/restic" in stage.dashboard.panes.box.title.text
        await stage.press("escape")
        assert stage.dashboard.panes.box.filter_text == ""
        assert stage.dashboard.table.cursor.data.total == BUSY_TOTALS[Pane.COMPLETED]


async def test_what_is_typed_after_a_slash_is_never_a_command() -> None:
    """The filter row may not be there yet in the first moments: d and y typed then must not purge anything."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "/", "d", "y", "r", "K", "y")
        written = {"retry", "replay", "purge", "cancel", "kill"}
        assert not [asked for asked in stage.gateway.asked if asked[0] in written]
        assert stage.dashboard.context == "typing"


async def test_a_filter_that_cannot_be_read_leaves_the_list_as_it_is() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "/")
        await stage.type("exit:lots")
        assert stage.dashboard.table.cursor.data.total == BUSY_TOTALS[Pane.COMPLETED]
        await stage.press("enter")
        assert stage.dashboard.context == "typing"


async def test_sorting_goes_round_and_turns() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "s")
        assert stage.dashboard.panes.box.view.sort is Sort.ID
        await stage.press("S")
        assert stage.dashboard.panes.box.view.is_reversed
        assert "by id, reversed" in stage.dashboard.panes.box.title.text
        await stage.press(*"s" * (len(Sort) - 1))
        assert stage.dashboard.panes.box.view == View(states=Pane.COMPLETED.states)


async def test_enter_shows_the_detail_and_escape_comes_back() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "enter")
        assert stage.dashboard.context == "detail"
        await stage.press("]")
        assert stage.dashboard.detail.tab.startswith("Attempts")
        await stage.press("escape")
        assert (stage.dashboard.context, stage.dashboard.panes.box.pane) == ("lists", Pane.DLQ)


async def test_the_output_of_earlier_attempts_is_a_bracket_away() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l")
        await stage.press("[")
        assert stage.dashboard.panes.shown.detail is not None
        assert stage.dashboard.panes.shown.detail.number == 2
        await stage.press("[")
        await stage.press("[")
        assert "There is no earlier attempt." in stage.toasts()
        await stage.press("]")
        await stage.press("]")
        assert stage.dashboard.panes.shown.detail.number == 3


async def test_job_keys_work_while_reading_the_output() -> None:
    """Read why it died, then retry it, without going back to the list."""
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "j", "l", "r")
        assert stage.asked("replay") == [([9978],)]


async def test_saving_the_output_makes_a_new_file_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "l")
        await stage.press("ctrl+s", "ctrl+s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-9981-attempt-3-2.log", "job-9981-attempt-3.log"]
    assert b"Connection refused" in (tmp_path / "job-9981-attempt-3.log").read_bytes()


async def test_the_copy_menu_copies_what_is_chosen() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "y", "i")
        assert stage.app.clipboard == "9981"
        await stage.press("y", "l")
        assert stage.app.clipboard.startswith("queuectl enqueue ")
        await stage.press("y", "o")
        assert "Connection refused" in stage.app.clipboard
        await stage.press("y", "w")
        assert stage.app.clipboard == "ConnectionError: [Errno 111] Connection refused"


async def test_zoom_shows_the_focused_pane_alone_until_q() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "+")
        assert [pane for pane, box in stage.dashboard.panes.boxes.items() if box.display] == [Pane.DLQ]
        await stage.press("q")
        assert all(box.display for box in stage.dashboard.panes.boxes.values())


async def test_help_shows_and_closes() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("?")
        assert isinstance(stage.app.screen, HelpScreen)
        await stage.press("escape")
        assert not isinstance(stage.app.screen, HelpScreen)


async def test_the_palette_finds_an_action_by_its_words() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", ":")
        await stage.type("pause queue media")
        await stage.pilot.pause(0.3)
        await stage.press("enter")
        await stage.pilot.pause(0.2)
        assert stage.asked("pause") == [("media", True)]


async def test_themes_go_round_and_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    async with staged(busy_snapshot(), preferences_path=str(path)) as stage:
        assert stage.app.theme == "queuectl-dark"
        await stage.press("ctrl+t")
        assert stage.app.theme == "queuectl-light"
        assert json.loads(path.read_text())["theme"] == "queuectl-light"


async def test_quit_without_running_jobs_leaves_at_once() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("q")
        await stage.pilot.pause()
        assert stage.app.return_code == 0


@pytest.mark.parametrize(("key", "leaving"), [("l", "leave"), ("w", "wait"), ("s", "stop")])
async def test_quit_with_running_jobs_asks_what_becomes_of_them(key: str, leaving: str) -> None:
    async with staged(busy_snapshot()) as stage:
        stage.gateway._fake_host.running_count = 2
        await stage.press("ctrl+q")
        await stage.pilot.pause()
        assert isinstance(stage.app.screen, QuitScreen)
        await stage.press(key)
        assert stage.gateway._fake_host.stopped[:1] == [leaving]


async def test_ctrl_c_kills_nothing() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("ctrl+c")
        assert stage.app.is_running
        assert stage.gateway._fake_host.stopped == []
        assert any("never killed by Ctrl-C" in said for said in stage.toasts())


async def test_new_dead_jobs_are_announced_until_they_are_looked_at() -> None:
    async with staged(busy_snapshot()) as stage:
        old = stage.gateway.scene
        minutes = (*old.minutes[:-1], old.minutes[-1]._replace(dead=2))
        data = PaneData(19, 0, rows(Pane.DLQ, 0, 19, 19), View(states=Pane.DLQ.states))
        stage.gateway.show(old._replace(minutes=minutes, panes={**old.panes, Pane.DLQ: data}))
        await stage.pilot.pause()
        assert "! 2 new" in stage.dashboard.panes.boxes[Pane.DLQ].title.text
        assert any("2 jobs died" in said for said in stage.toasts())
        await stage.press("4")
        assert "! " not in stage.dashboard.panes.boxes[Pane.DLQ].title.text


async def test_jobs_that_die_behind_a_dialog_do_not_cover_it() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("e")
        old = stage.gateway.scene
        minutes = (*old.minutes[:-1], old.minutes[-1]._replace(dead=2))
        stage.gateway.show(old._replace(minutes=minutes))
        await stage.pilot.pause()
        assert "! 2 new" in stage.dashboard.panes.boxes[Pane.DLQ].title.text
        assert stage.toasts() == []


async def test_an_error_keeps_the_last_good_data_and_tells_its_age() -> None:
    async with staged(busy_snapshot()) as stage:
        stage.gateway.show(stage.gateway.scene._replace(error="queue.db was deleted or moved"))
        await stage.pilot.pause()
        assert "data 0s old" in stage.dashboard.bars.header.text
        assert "queue.db was deleted or moved" in stage.dashboard.bars.trouble.text
        assert stage.dashboard.table.cursor.data.total == BUSY_TOTALS[Pane.PENDING]
        assert "queue.db was deleted or moved" in stage.toasts()


async def test_remapped_keys_work_and_the_old_ones_do_not() -> None:
    async with staged(busy_snapshot(), actions=remapped({"retry": "x"})) as stage:
        await stage.press("4", "r")
        assert stage.asked("replay") == []
        await stage.press("x")
        assert stage.asked("replay") == [([9981],)]
        assert "x replay" in stage.dashboard.footer.text


async def test_the_mouse_goes_to_a_pane_by_its_title_and_does_what_the_footer_says() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.pilot.click(stage.dashboard.panes.boxes[Pane.DLQ].title)
        await stage.pilot.pause()
        assert stage.dashboard.panes.box.pane is Pane.DLQ
        offset = stage.dashboard.footer.text.index("replay")
        await stage.pilot.click(stage.dashboard.footer, offset=(offset, 0))
        await stage.pilot.pause()
        assert stage.asked("replay") == [([9981],)]


@pytest.mark.parametrize(("word", "is_done"), [("yes", True), ("no", False)])
async def test_a_click_on_an_answer_in_the_footer_answers_the_question(word: str, is_done: bool) -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "space", "space", "d")
        await stage.pilot.click(stage.dashboard.footer, offset=(stage.dashboard.footer.text.index(f" {word} ") + 1, 0))
        await stage.pilot.pause()
        assert not stage.dashboard.confirm_bar.is_open
        assert stage.asked("purge") == [([9978, 9981],)] * is_done


async def test_errors_that_take_turns_are_told_once_until_all_is_well() -> None:
    async with staged(busy_snapshot()) as stage:
        scene = stage.gateway.scene
        for error in ("one", "other", "one", "other", None, "one"):
            stage.gateway.show(scene._replace(error=error))
            await stage.pilot.pause()
        assert [said for said in stage.toasts() if said in ("one", "other")] == ["one", "other", "one"]


async def test_the_workers_trouble_is_told_unless_it_is_told_already() -> None:
    for error, told in ((None, ["Results wait: no room"]), ("queue.db was deleted", [])):
        async with staged(busy_snapshot()._replace(error=error)) as stage:
            stage.dashboard.post_message(WorkerReported("Results wait: no room", "error", is_of_storage=True))
            await stage.pilot.pause()
            assert [said for said in stage.toasts() if said.startswith("Results")] == told


async def test_a_count_that_must_be_typed_is_asked_for_in_the_footer_and_at_y() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "ctrl+a", "d")
        assert stage.dashboard.confirm_bar.must_type
        assert "type the count" in stage.dashboard.footer.text
        assert "y yes" not in stage.dashboard.footer.text
        await stage.press("y")
        assert any("a key is not enough" in said for said in stage.toasts())
    async with staged(busy_snapshot()) as stage:
        await stage.press("4", "space", "space", "d")
        assert "y yes" in stage.dashboard.footer.text


async def test_a_small_terminal_tells_what_ails_the_whole() -> None:
    async with staged(busy_snapshot(), size=(60, 16), is_read_only=True) as stage:
        assert "read-only" in stage.dashboard.bars.strip.text
        stage.gateway.show(stage.gateway.scene._replace(workers=(), error="gone"))
        await stage.pilot.pause()
        assert "no worker" in stage.dashboard.bars.strip.text
        assert "data 0s old" in stage.dashboard.bars.strip.text
        assert stage.dashboard.bars.trouble.text == "what is shown is old: gone (+1 more)"
    async with staged(busy_snapshot()._replace(workers=(), error="gone"), size=(40, 12)) as stage:
        assert "data 0s old" in stage.dashboard.bars.strip.text


async def test_marking_where_there_is_nothing_says_so() -> None:
    async with staged(idle_snapshot()) as stage:
        for key in ("space", "v", "ctrl+a"):
            before = len(stage.toasts())
            await stage.press(key)
            assert stage.toasts()[before:] == ["There is no job to mark."]


async def test_the_note_of_a_filter_goes_with_the_filter() -> None:
    async with staged(busy_snapshot()) as stage:
        await stage.press("3", "/")
        await stage.type("zzz")
        bar = stage.dashboard.panes.box.filter_bar
        bar.show_count(0)
        assert bar._said[0] == "no match"
        await stage.press("ctrl+u")
        await stage.pilot.pause(0.2)
        assert bar._said[0] == ""


async def test_nothing_is_begun_while_the_program_ends() -> None:
    """Between the last key and the end, rows that were due are not made and keys open nothing."""
    async with staged(busy_snapshot()) as stage:
        board, screens = stage.dashboard, list(stage.app.screen_stack)
        stage.app.exit(0)
        board.panes.boxes[Pane.DLQ].add_row()
        board.panes.output_box.add_row()
        await stage.press("e", "?", "/")
        assert list(stage.app.screen_stack) in (screens, [])


async def test_scrollbars_come_after_the_first_picture_and_move_nothing() -> None:
    async with staged(busy_snapshot()) as stage:
        views = [
            *(box.table for box in stage.dashboard.panes.boxes.values()),
            stage.dashboard.panes.output_box.view,
            stage.dashboard.detail,
        ]
        early = [view.scrollable_content_region.size for view in views]
        await stage.be_whole()
        assert all(view.show_vertical_scrollbar for view in views)
        assert [view.scrollable_content_region.size for view in views] == early
        assert [view.vertical_scrollbar.position for view in views] == [view.scroll_y for view in views]
        table = stage.dashboard.panes.boxes[Pane.PENDING].table
        assert table.vertical_scrollbar.window_virtual_size == table.virtual_size.height


async def test_a_question_does_not_wait_for_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuectl_tui.dashboard.HIDDEN_PARTS_S", 60.0)
    async with staged(busy_snapshot()) as stage:
        assert not stage.dashboard.confirm_bar.is_attached
        await stage.press("4", "space", "space", "d", "y")
        assert not stage.dashboard.table.show_vertical_scrollbar  # it is still early
        assert len(stage.asked("purge")) == 1
        stage.dashboard._add_hidden_parts()
        await stage.be_whole()
        assert len(stage.dashboard.query(ConfirmBar)) == 1


async def test_an_empty_list_has_no_detail_and_no_output_of_another_jobs() -> None:
    """What they would invite to could not be done: no job is under the cursor."""
    full = busy_snapshot()
    dlq = full.panes[Pane.DLQ]._replace(total=0, rows=())
    async with staged(full._replace(panes={**full.panes, Pane.DLQ: dlq})) as stage:
        await stage.press("3")
        assert stage.dashboard.panes.shown.detail is not None
        await stage.press("4")
        assert stage.dashboard.panes.shown.request is None
        assert stage.dashboard.target_job() is None
        assert "dead" not in stage.dashboard.panes.output_box.title.text
        await stage.press("3")
        assert stage.dashboard.panes.shown.detail is not None


async def test_a_list_that_becomes_empty_empties_the_panes_beside_it() -> None:
    full = busy_snapshot()
    async with staged(full) as stage:
        await stage.press("4")
        assert stage.dashboard.panes.shown.detail is not None
        dlq = full.panes[Pane.DLQ]._replace(total=0, rows=())
        stage.gateway.show(stage.gateway.scene._replace(panes={**full.panes, Pane.DLQ: dlq}))
        await stage.press()
        await stage.press()
        assert stage.dashboard.panes.shown.detail is None


async def test_trouble_of_the_worker_is_shown_for_as_long_as_it_lasts_and_nothing_is_green() -> None:
    async with staged(busy_snapshot()) as stage:
        stage.gateway.host.trouble = "the disk is full; 2 results wait to be recorded"
        stage.dashboard._tick()
        assert stage.dashboard.bars.trouble.text == "the disk is full; 2 results wait to be recorded"
        await stage.press()
        assert stage.dashboard.bars.trouble.region.height == 1
        assert "worker in trouble" in stage.dashboard.bars.header.text
        assert "worker in trouble" in stage.dashboard.bars.strip.text
        assert "good" not in [part.style for part in stage.dashboard.bars.header._left]
        stage.gateway.host.trouble = None
        stage.dashboard._tick()
        assert "trouble" not in stage.dashboard.bars.header.text
        await stage.press()
        assert stage.dashboard.bars.trouble.region.height == 0
        assert "good" in [part.style for part in stage.dashboard.bars.header._left]


async def test_jobs_that_wait_without_a_worker_are_an_alarm() -> None:
    async with staged(busy_snapshot()._replace(workers=())) as stage:
        assert "no worker is alive: jobs wait" in stage.dashboard.bars.trouble.text
        assert stage.dashboard.bars.header.text.count("no worker") == 1
