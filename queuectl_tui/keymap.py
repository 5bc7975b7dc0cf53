"""The one table of keys: what each does, and its words in footer, help, palette and README. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from core.model import Verb
from queuectl_tui.key_target import (
    KeyTarget,
    TargetCondition,
    always,
    can,
    can_edit,
    has_job,
    has_output,
    has_resource,
    has_row,
    has_schedule,
    has_started,
    hold_word,
    leads_on,
    pause_word,
    retry_word,
    way_on,
)
from queuectl_tui.snapshot import Pane

if TYPE_CHECKING:
    from queuectl_tui.dashboard import DashboardScreen

#: What a key does to the dashboard; the result is ignored.
Handler: TypeAlias = "Callable[[DashboardScreen], object]"

#: How far a key scrolls sideways, in cells.
SIDE_STEP = 8


class Action(NamedTuple):
    """One row of the table: an action, its keys where they work, its words, and the function that does it.

    ``id`` is the name by which the preferences remap it. ``keys`` are written as they are typed: ``"e"``, ``"?"``,
    ``"ctrl+u"``, ``"pageup"``. ``context`` is a key of ``CONTEXTS``. ``short`` is the word in the footer; "" keeps the
    action out of it. ``help`` is one sentence. ``is_write`` is true when it changes the queue: a dashboard that only
    looks does not name it in its footer. ``when`` says on which targets it can act; for others the footer leaves it
    out. ``word`` is the word in the footer where that depends on the target. ``other`` is the id of the action that
    goes the other way: the footer names both keys before the one word.
    """

    id: str
    keys: tuple[str, ...]
    context: str
    short: str
    help: str
    handler: Handler
    is_write: bool = False
    when: TargetCondition = always
    word: Callable[[KeyTarget], str] | None = None
    other: str = ""

    @property
    def name(self) -> str:
        """Its name in words, for the palette."""
        words = self.id.replace("go_", "go to ", 1).replace("_", " ").replace("dlq", "DLQ")
        return words[0].upper() + words[1:]


#: Contexts in the order of the help, with what the help calls them.
CONTEXTS: Mapping[str, str] = {
    "everywhere": "Everywhere",
    "outside_queues": "Everywhere but in the queues, schedules and resources",
    "lists": "Lists",
    "jobs": "Jobs (the marked ones, else the one under the cursor)",
    "groups": "Groups of dead jobs",
    "reading": "Output, and all running outputs",
    "output": "Output of a job",
    "follow": "All running outputs",
    "detail": "Detail",
    "rows": "Queues, workers, schedules and resources",
    "queues": "Queues",
    "workers": "Workers",
    "plan": "Schedules and resources",
    "typing": "Row of a filter or a search",
    "confirm": "Confirmation",
}

#: Which contexts are alive together; no key may mean two things in one of these sets.
ALIVE_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "lists": ("everywhere", "outside_queues", "lists", "jobs"),
    "groups": ("everywhere", "outside_queues", "groups"),
    "output": ("everywhere", "outside_queues", "reading", "output", "jobs"),
    "follow": ("everywhere", "outside_queues", "reading", "follow"),
    "detail": ("everywhere", "outside_queues", "detail", "jobs"),
    "queues": ("everywhere", "rows", "queues"),
    "workers": ("everywhere", "outside_queues", "rows", "workers"),
    "plan": ("everywhere", "rows", "plan"),
    "typing": ("typing",),
    "confirm": ("confirm",),
}

#: Contexts whose actions work in most places.
GENERAL = ("everywhere", "outside_queues")
#: Contexts whose actions two panes of one kind have in common.
SHARED = ("rows", "reading")

# fmt: off
ACTIONS: tuple[Action, ...] = (
    # everywhere
    Action("pane_pending", ("1",), "everywhere", "", "Go to the pending jobs.",
           lambda screen: screen.panes.go_to_pane(Pane.PENDING)),
    Action("pane_running", ("2",), "everywhere", "", "Go to the running jobs.",
           lambda screen: screen.panes.go_to_pane(Pane.RUNNING)),
    Action("pane_completed", ("3",), "everywhere", "", "Go to the completed and cancelled jobs.",
           lambda screen: screen.panes.go_to_pane(Pane.COMPLETED)),
    Action("pane_dlq", ("4",), "everywhere", "", "Go to the dead letter queue.",
           lambda screen: screen.panes.go_to_pane(Pane.DLQ)),
    Action("go_output", ("5",), "everywhere", "", "Go to the output of the job under the cursor.",
           lambda screen: screen.panes.go_to_output()),
    Action("go_detail", ("6",), "everywhere", "", "Go to the detail of the job under the cursor.",
           lambda screen: screen.panes.go_to_detail()),
    Action("go_queues", ("7",), "everywhere", "", "Show the queues in the place of detail and output, or go back.",
           lambda screen: screen.panes.go_to_side_list("queues")),
    Action("go_workers", ("8",), "everywhere", "", "Show the workers in the place of detail and output, or go back.",
           lambda screen: screen.panes.go_to_side_list("workers")),
    Action("go_plan", ("9",), "everywhere", "",
           "Show schedules and resources in the place of detail and output, or go back.",
           lambda screen: screen.panes.go_to_side_list("plan")),
    Action("follow_all", ("F",), "everywhere", "", "Follow the outputs of all running jobs together, or go back.",
           lambda screen: screen.panes.go_to_side_list("follow")),
    Action("next_pane", ("tab",), "everywhere", "", "Go to the next pane.", lambda screen: screen.panes.go_round(1)),
    Action("previous_pane", ("shift+tab",), "everywhere", "", "Go to the previous pane.",
           lambda screen: screen.panes.go_round(-1)),
    Action("zoom_in", ("+",), "everywhere", "", "Give the focused pane the whole screen.",
           lambda screen: screen.zoom(True)),
    Action("zoom_out", ("_", "-"), "everywhere", "", "Show all panes again.",
           lambda screen: screen.zoom(False)),
    Action("enqueue", ("e",), "everywhere", "enqueue", "Enqueue a job.",
           lambda screen: screen.jobs.enqueue(screen.queue_names()), is_write=True),
    Action("pause", ("p",), "outside_queues", "pause", "Pause or resume the whole queue; running jobs go on.",
           lambda screen: screen.pause(), is_write=True, word=pause_word),
    Action("fewer_slots", ("(",), "outside_queues", "", "Run one job less at the same time.",
           lambda screen: screen.change_slots(-1, "("), is_write=True),
    Action("more_slots", (")",), "outside_queues", "", "Run one job more at the same time.",
           lambda screen: screen.change_slots(1, ")"), is_write=True),
    Action("undo", ("z",), "everywhere", "", "Undo the last purge, replay, retry, edit, cancel, hold or release.",
           lambda screen: screen.jobs.undo(), is_write=True),
    Action("messages", ("m",), "everywhere", "", "Show the messages of this run, the newest first.",
           lambda screen: screen.program.show_messages()),
    Action("theme", ("ctrl+t",), "everywhere", "", "Switch to the next theme; the choice is remembered.",
           lambda screen: screen.program.choose_next_theme()),
    Action("palette", (":", "ctrl+p"), "everywhere", "", "Search all commands by name.",
           lambda screen: screen.show_palette()),
    Action("suspend", ("ctrl+z",), "everywhere", "",
           "Suspend the dashboard, fg brings it back; jobs run on, but it starts none meanwhile.",
           lambda screen: screen.app.action_suspend_process()),
    Action("back", ("q",), "everywhere", "", "Go back one step; at the root, quit.", lambda screen: screen.go_back()),
    Action("quit", ("ctrl+q",), "everywhere", "", "Quit; asks first when this dashboard runs jobs.",
           lambda screen: screen.program.ask_to_quit()),
    Action("stay", ("ctrl+c",), "everywhere", "", "Say how to quit; never kills a job.",
           lambda screen: screen.explain_quitting()),
    # jobs
    Action("retry", ("r",), "jobs", "retry", "Replay a finished job; run a delayed one now.",
           lambda screen: screen.jobs.retry(screen.panes.box, screen.target_job()), is_write=True,
           when=can(Verb.RETRY), word=retry_word),
    Action("retry_all", ("R",), "jobs", "", "Retry all jobs of the pane that match its filter.",
           lambda screen: screen.jobs.retry_all(screen.panes.box), is_write=True),
    Action("retry_chain", ("T",), "jobs", "with dependents",
           "Retry the job with all that hang on it; these wait for each other again.",
           lambda screen: screen.jobs.retry(screen.panes.box, screen.target_job(), "T"), is_write=True,
           when=lambda target: target.has_dependents),
    Action("edit", ("E",), "jobs", "edit", "Edit the job, then retry it.",
           lambda screen: screen.jobs.edit(screen.target_job(), screen.queue_names(), screen.snapshot.detail),
           is_write=True, when=can_edit),
    Action("cancel", ("c",), "jobs", "cancel", "Cancel a waiting or running job.",
           lambda screen: screen.jobs.cancel(screen.panes.box, screen.target_job()), is_write=True,
           when=can(Verb.CANCEL)),
    Action("kill", ("K",), "jobs", "", "Kill a running job at once.",
           lambda screen: screen.jobs.kill(screen.panes.box, screen.target_job()), is_write=True),
    Action("purge", ("d",), "jobs", "purge", "Purge a finished job; can be undone.",
           lambda screen: screen.jobs.purge(screen.panes.box, screen.target_job()), is_write=True,
           when=can(Verb.PURGE)),
    Action("purge_all", ("D",), "jobs", "", "Purge all jobs of the pane that match its filter.",
           lambda screen: screen.jobs.purge_all(screen.panes.box), is_write=True),
    # lists
    Action("hold", ("h",), "lists", "hold", "Hold a waiting job back until it is released, or release it.",
           lambda screen: screen.jobs.hold(screen.panes.box, screen.target_job()), is_write=True,
           when=can(Verb.HOLD), word=hold_word),
    Action("groups", ("t",), "lists", "group", "Group the dead jobs by what they died of.",
           lambda screen: screen.show_groups(), when=lambda target: target.has_dead),
    Action("filter", ("/",), "lists", "filter",
           "Filter the pane: words match the command; queue:media exit:1 >5m !not.",
           lambda screen: screen.panes.box.open_filter(screen.program.filters.past()),
           when=lambda target: target.has_list),
    Action("name_filter", ("&",), "lists", "", "Save the filter of the pane by a name; ↑ in a filter brings back.",
           lambda screen: screen.dialogs.name_filter()),
    Action("open", ("enter",), "lists", "detail", "Show the detail of the job under the cursor.",
           lambda screen: screen.open_detail(), when=has_job),
    Action("show_output", ("l", "right"), "lists", "output", "Go to the output of the job under the cursor.",
           lambda screen: screen.panes.go_to_output(), when=has_started),
    Action("mark", ("space",), "lists", "mark", "Mark the job and move on.",
           lambda screen: screen.table.marks.toggle(), when=has_job),
    Action("down", ("j", "down"), "lists", "", "Move down.", lambda screen: screen.table.move(1)),
    Action("up", ("k", "up"), "lists", "", "Move up.", lambda screen: screen.table.move(-1)),
    Action("top", ("g", "home"), "lists", "", "Go to the first job and stay with the newest.",
           lambda screen: screen.table.home()),
    Action("bottom", ("G", "end"), "lists", "", "Go to the last job.", lambda screen: screen.table.end()),
    Action("page_down", ("pagedown",), "lists", "", "Move down one page.", lambda screen: screen.table.page(1)),
    Action("page_up", ("pageup",), "lists", "", "Move up one page.", lambda screen: screen.table.page(-1)),
    Action("half_down", ("ctrl+d",), "lists", "", "Move down half a page.", lambda screen: screen.table.half_page(1)),
    Action("half_up", ("ctrl+u",), "lists", "", "Move up half a page.", lambda screen: screen.table.half_page(-1)),
    Action("range", ("v",), "lists", "", "Start or end a range of marks.",
           lambda screen: screen.table.marks.start_range()),
    Action("mark_all", ("ctrl+a",), "lists", "", "Mark all jobs of the pane that match its filter.",
           lambda screen: screen.table.marks.mark_all()),
    Action("clear", ("escape",), "lists", "", "Clear the filter, then the marks.",
           lambda screen: (
               screen.panes.leave_group() or screen.panes.box.clear_filter() or screen.table.marks.clear()
           )),
    Action("sort", ("s",), "lists", "", "Sort by the next order: default, id, command, duration, cpu, memory.",
           lambda screen: screen.panes.box.sort_by_next()),
    Action("reverse", ("S",), "lists", "", "Reverse the order.", lambda screen: screen.panes.box.reverse()),
    Action("columns", ("|",), "lists", "", "Choose the columns of the pane and their order; the choice is remembered.",
           lambda screen: screen.dialogs.choose_columns()),
    Action("copy", ("y",), "lists", "", "Copy id, command, output, last words or the command line that does the same.",
           lambda screen: screen.dialogs.copy_job()),
    # groups
    Action("open_group", ("enter",), "groups", "open", "Show the jobs of the group.",
           lambda screen: screen.panes.open_group(), when=has_row),
    Action("retry_group", ("r", "R"), "groups", "replay", "Replay all jobs of the group.",
           lambda screen: screen.jobs.retry_group(screen.panes.dead_box.groups.cursor_group), is_write=True,
           when=has_row),
    Action("canary_group", ("C",), "groups", "canary", "Replay one job of the group, and the rest once it completes.",
           lambda screen: screen.jobs.canary_group(screen.panes.dead_box.groups.cursor_group), is_write=True,
           when=has_row),
    Action("purge_group", ("d", "D"), "groups", "purge", "Purge all jobs of the group; can be undone.",
           lambda screen: screen.jobs.purge_group(screen.panes.dead_box.groups.cursor_group), is_write=True,
           when=has_row),
    Action("edit_group", ("E",), "groups", "", "Edit the job of a group of one, then retry it.",
           lambda screen: screen.jobs.edit_group(screen.panes.dead_box.groups.cursor_group, screen.queue_names()),
           is_write=True),
    Action("group_output", ("l", "right"), "groups", "output", "Go to the output of the newest job of the group.",
           lambda screen: screen.panes.go_to_output(), when=has_row),
    Action("leave_groups", ("t", "escape"), "groups", "list", "Show the list of dead jobs again.",
           lambda screen: screen.panes.leave_groups()),
    Action("group_down", ("j", "down"), "groups", "", "Move down.",
           lambda screen: screen.panes.dead_box.groups.move(1)),
    Action("group_up", ("k", "up"), "groups", "", "Move up.", lambda screen: screen.panes.dead_box.groups.move(-1)),
    Action("group_top", ("g", "home"), "groups", "", "Go to the largest group.",
           lambda screen: screen.panes.dead_box.groups.home()),
    Action("group_bottom", ("G", "end"), "groups", "", "Go to the smallest group.",
           lambda screen: screen.panes.dead_box.groups.end()),
    Action("group_page_down", ("pagedown", "ctrl+d"), "groups", "", "Move down one page.",
           lambda screen: screen.panes.dead_box.groups.page(1)),
    Action("group_page_up", ("pageup", "ctrl+u"), "groups", "", "Move up one page.",
           lambda screen: screen.panes.dead_box.groups.page(-1)),
    # output, and all running outputs
    Action("follow", ("f",), "reading", "follow", "Follow the end of the output, or stop following.",
           lambda screen: screen.output.toggle_follow(), when=has_output),
    Action("wrap", ("w",), "reading", "wrap", "Wrap long lines, or cut them.",
           lambda screen: screen.panes.reading_box.toggle_wrap(), when=has_output),
    Action("search", ("/",), "reading", "search", "Search a text or a /regex/ in the output.",
           lambda screen: screen.panes.reading_box.open_search(), when=has_output),
    Action("find_next", ("n",), "reading", "", "Go to the next match.",
           lambda screen: screen.panes.reading_box.find("n", 1)),
    Action("find_previous", ("N",), "reading", "", "Go to the previous match.",
           lambda screen: screen.panes.reading_box.find("N", -1)),
    Action("output_down", ("j", "down"), "reading", "", "Scroll down.", lambda screen: screen.output.step(1)),
    Action("output_up", ("k", "up"), "reading", "", "Scroll up.", lambda screen: screen.output.step(-1)),
    Action("output_page_down", ("pagedown", "ctrl+d", "space"), "reading", "", "Scroll down one page.",
           lambda screen: screen.output.page(1)),
    Action("output_page_up", ("pageup", "ctrl+u"), "reading", "", "Scroll up one page.",
           lambda screen: screen.output.page(-1)),
    Action("output_top", ("g", "home"), "reading", "", "Go to the start of the output.",
           lambda screen: screen.output.home()),
    Action("output_bottom", ("G", "end"), "reading", "", "Go to the end of the output and follow it.",
           lambda screen: screen.output.end()),
    Action("output_left", ("left", "h"), "reading", "", "Scroll left; at the margin, go back to the list.",
           lambda screen: None if screen.output.sideways(-SIDE_STEP) else screen.panes.go_to_list()),
    Action("output_right", ("right", "l"), "reading", "", "Scroll right.",
           lambda screen: screen.output.sideways(SIDE_STEP)),
    # output
    Action("previous_attempt", ("[",), "output", "attempt", "Show the output of the attempt before.",
           lambda screen: screen.panes.step_attempt(-1), when=lambda target: target.has_others,
           other="next_attempt"),
    Action("next_attempt", ("]",), "output", "", "Show the output of the attempt after.",
           lambda screen: screen.panes.step_attempt(1)),
    Action("compare", ("=",), "output", "compare", "Compare with the attempt before, or show the attempt alone again.",
           lambda screen: screen.panes.compare_attempts(), when=lambda target: target.has_earlier),
    Action("copy_output", ("y",), "output", "copy", "Copy the output, the id or the command.",
           lambda screen: screen.dialogs.copy_job(), when=has_job),
    Action("pager", ("o",), "output", "pager", "Open the output in $PAGER.",
           lambda screen: screen.dialogs.page_output(), when=has_output),
    Action("save", ("ctrl+s",), "output", "save", "Save the output to a file.",
           lambda screen: screen.dialogs.save_output(), when=has_output),
    Action("leave_output", ("escape",), "output", "", "Go back to the list.",
           lambda screen: screen.panes.go_to_list()),
    # all running outputs
    Action("leave_follow", ("escape",), "follow", "back", "Show detail and output again.",
           lambda screen: screen.panes.go_to_side_list("")),
    # detail
    Action("previous_tab", ("[", "left", "h"), "detail", "tab", "Show the tab before.",
           lambda screen: screen.detail.previous_tab(), when=has_job, other="next_tab"),
    Action("next_tab", ("]", "right", "l"), "detail", "", "Show the tab after.",
           lambda screen: screen.detail.next_tab()),
    Action("detail_down", ("j", "down"), "detail", "", "Scroll down.", lambda screen: screen.detail.step(1)),
    Action("detail_up", ("k", "up"), "detail", "", "Scroll up.", lambda screen: screen.detail.step(-1)),
    Action("detail_top", ("g", "home"), "detail", "", "Go to the first line.", lambda screen: screen.detail.home()),
    Action("detail_bottom", ("G", "end"), "detail", "", "Go to the last line.", lambda screen: screen.detail.end()),
    Action("detail_page_down", ("pagedown", "ctrl+d"), "detail", "", "Scroll down one page.",
           lambda screen: screen.detail.page(1)),
    Action("detail_page_up", ("pageup", "ctrl+u"), "detail", "", "Scroll up one page.",
           lambda screen: screen.detail.page(-1)),
    Action("detail_output", ("enter",), "detail", "output", "Go to the output; in the tree, to the job.",
           lambda screen: screen.panes.go_on_from_detail(), when=leads_on, word=way_on),
    Action("copy_detail", ("y",), "detail", "copy", "Copy the id, the command or the output.",
           lambda screen: screen.dialogs.copy_job(), when=has_job),
    Action("leave_detail", ("escape",), "detail", "", "Go back to the list.",
           lambda screen: screen.panes.go_to_list()),
    # queues
    Action("pause_queue", ("p",), "queues", "pause", "Pause or resume the queue; its running jobs go on.",
           lambda screen: screen.panes.side_lists.queues.toggle_pause(), is_write=True,
           when=has_row, word=pause_word),
    Action("lower_limit", ("(",), "queues", "limit", "Lower the limit of the queue, or set one.",
           lambda screen: screen.panes.side_lists.queues.change_limit(-1, "("), is_write=True,
           when=has_row, other="raise_limit"),
    Action("raise_limit", (")",), "queues", "", "Raise the limit of the queue.",
           lambda screen: screen.panes.side_lists.queues.change_limit(1, ")"), is_write=True),
    Action("lift_limit", ("u",), "queues", "no limit", "Lift the limit of the queue.",
           lambda screen: screen.panes.side_lists.queues.lift_limit(), is_write=True,
           when=lambda target: target.has_limit),
    Action("filter_by_queue", ("enter",), "queues", "filter by it",
           "Show only the jobs of the queue in all panes; once more: all jobs.",
           lambda screen: screen.panes.side_lists.queues.filter_panes(), when=has_row),
    # workers
    Action("stop_worker", ("s",), "workers", "stop", "Stop the worker once its running jobs have ended.",
           lambda screen: screen.panes.side_lists.workers.stop(screen.ask, now=False), is_write=True,
           when=has_row),
    Action("stop_worker_now", ("S",), "workers", "stop now", "Stop the worker now; its jobs end and run again later.",
           lambda screen: screen.panes.side_lists.workers.stop(screen.ask, now=True), is_write=True,
           when=has_row),
    # schedules and resources
    Action("run_schedule", ("n",), "plan", "run now", "Run the schedule now, besides its plan.",
           lambda screen: screen.panes.side_lists.plan.run_now(), is_write=True, when=has_schedule),
    Action("pause_schedule", ("p",), "plan", "pause", "Pause or resume the schedule; its jobs go on.",
           lambda screen: screen.panes.side_lists.plan.toggle_pause(), is_write=True, when=has_schedule,
           word=pause_word),
    Action("edit_schedule", ("E",), "plan", "edit", "Edit the schedule.",
           lambda screen: screen.dialogs.edit_schedule(screen.gateway.now), is_write=True, when=has_schedule),
    Action("less_capacity", ("(",), "plan", "capacity", "Have one less of the resource, or close it.",
           lambda screen: screen.panes.side_lists.plan.change_capacity(-1, "("), is_write=True, when=has_resource,
           other="more_capacity"),
    Action("more_capacity", (")",), "plan", "", "Have one more of the resource.",
           lambda screen: screen.panes.side_lists.plan.change_capacity(1, ")"), is_write=True),
    Action("unset_capacity", ("u",), "plan", "unset", "Forget how much there is of the resource: there is one then.",
           lambda screen: screen.panes.side_lists.plan.unset(), is_write=True,
           when=lambda target: target.has_limit),
    Action("plan_job", ("enter",), "plan", "job",
           "Go to the last job of the schedule, or to the first one that waits for the resource.",
           lambda screen: screen.panes.side_lists.plan.go_to_job(),
           when=lambda target: target.has_schedule or target.has_resource),
    Action("go_schedules", ("left", "h"), "plan", "", "Go to the schedules.",
           lambda screen: screen.panes.side_lists.plan.go(-1)),
    Action("go_resources", ("right", "l"), "plan", "", "Go to the resources.",
           lambda screen: screen.panes.side_lists.plan.go(1)),
    # queues and workers
    Action("rows_down", ("j", "down"), "rows", "", "Move down.", lambda screen: screen.panes.side_lists.rows.move(1)),
    Action("rows_up", ("k", "up"), "rows", "", "Move up.", lambda screen: screen.panes.side_lists.rows.move(-1)),
    Action("rows_page_down", ("pagedown", "ctrl+d"), "rows", "", "Move down one page.",
           lambda screen: screen.panes.side_lists.rows.page(1)),
    Action("rows_page_up", ("pageup", "ctrl+u"), "rows", "", "Move up one page.",
           lambda screen: screen.panes.side_lists.rows.page(-1)),
    Action("rows_top", ("g", "home"), "rows", "", "Go to the first row.",
           lambda screen: screen.panes.side_lists.rows.home()),
    Action("rows_bottom", ("G", "end"), "rows", "", "Go to the last row.",
           lambda screen: screen.panes.side_lists.rows.end()),
    Action("leave_rows", ("escape",), "rows", "back", "Show detail and output again.",
           lambda screen: screen.panes.go_to_side_list("")),
    # help comes last, so that it stands at the end of the footer
    Action("help", ("?", "f1"), "everywhere", "help", "Show all keys.", lambda screen: screen.show_help()),
    # the row of a filter or a search
    Action("keep_text", ("enter",), "typing", "keep", "Keep the filter, or the matches of the search, and go on.",
           lambda screen: screen.dialogs.in_row(lambda row: row.keep())),
    Action("drop_text", ("escape",), "typing", "clear", "Drop the filter or the search.",
           lambda screen: screen.dialogs.in_row(lambda row: row.drop())),
    Action("past_text", ("up",), "typing", "earlier", "Bring back the filter before, also one that was saved by name.",
           lambda screen: screen.dialogs.in_row(lambda row: row.go_back()), when=lambda target: target.has_past),
    Action("next_text", ("down",), "typing", "", "Bring back the filter after.",
           lambda screen: screen.dialogs.in_row(lambda row: row.go_on())),
    # confirmation
    Action("confirm_yes", ("y",), "confirm", "yes", "Do it; above 50 jobs, type the count instead.",
           lambda screen: screen.confirm_bar.answer(True)),
    Action("confirm_no", ("n", "escape"), "confirm", "no", "Leave everything as it is.",
           lambda screen: screen.confirm_bar.answer(False)),
)
# fmt: on

_NAMES: Mapping[str, str] = {
    "enter": "⏎",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "f1": "F1",
}


class KeyClash(ValueError):
    """Two actions that are alive together want one key, or a remapping names what does not exist."""


def key_name(key: str) -> str:
    """Return a key as people read it: ``⏎``, ``^u``, ``PgUp``."""
    if key.startswith("ctrl+"):
        return "^" + key[5:]
    return _NAMES.get(key, key)


def check_clashes(actions: Iterable[Action]) -> None:
    """Raise ``KeyClash`` with both names when a key means two things where both are alive."""
    listed = tuple(actions)
    for together, contexts in ALIVE_TOGETHER.items():
        taken: dict[str, Action] = {}
        for action in listed:
            if action.context not in contexts:
                continue
            for key in action.keys:
                other = taken.setdefault(key, action)
                if other is not action:
                    raise KeyClash(f"key {key!r} is both {other.id!r} and {action.id!r} in {together}")


def remapped(remaps: Mapping[str, str], actions: tuple[Action, ...] = ACTIONS) -> tuple[Action, ...]:
    """Return the table with the keys of some actions replaced: action id -> keys with spaces between them.

    Raise ``KeyClash`` when an action does not exist, would have no key, or two would share one.
    """
    known = {action.id for action in actions}
    for action_id, text in remaps.items():
        if action_id not in known:
            raise KeyClash(f"no action {action_id!r} to remap; README lists their names")
        if not text.split():
            raise KeyClash(f"action {action_id!r} needs a key")
    changed = tuple(
        action._replace(keys=tuple(remaps[action.id].split())) if action.id in remaps else action for action in actions
    )
    check_clashes(changed)
    return changed


class Keymap:
    """The actions of a dashboard, and which of them a key means in each context."""

    def __init__(self, actions: Iterable[Action] = ACTIONS) -> None:
        self.actions = tuple(actions)
        self._by_key = {
            context: {key: action for action in alive(self.actions, context) for key in action.keys}
            for context in ALIVE_TOGETHER
        }

    def find(self, context: str, key: str, character: str | None) -> Action | None:
        """Return what a key press means in a context; ``key`` is Textual's name, ``character`` what it prints.

        ``None`` is nothing, and everything while a question or a row of text has all keys.
        """
        if context not in self._by_key or context in ("confirm", "typing"):
            return None
        actions = self._by_key[context]
        return actions.get(key) or (actions.get(character) if character else None)


def alive(actions: Iterable[Action], context: str) -> list[Action]:
    """Return the actions that work in a context (a key of ``ALIVE_TOGETHER``), in table order."""
    contexts = ALIVE_TOGETHER[context]
    return [action for action in actions if action.context in contexts]


#: Which contexts the footer names first.
_NEAREST = (
    "confirm",
    "typing",
    "groups",
    "reading",
    "output",
    "follow",
    "detail",
    "queues",
    "workers",
    "plan",
    "rows",
    "jobs",
    "lists",
    *GENERAL,
)


def footer_actions(
    actions: Iterable[Action], context: str, target: KeyTarget | None = None, *, is_read_only: bool = False
) -> list[Action]:
    """Return the actions that the footer names in a context, the nearest first, the help last.

    Those that cannot act on ``target`` are left out; ``None`` stands for any.
    """
    named = [
        action
        for action in alive(actions, context)
        if action.short and not (is_read_only and action.is_write) and (target is None or action.when(target))
    ]
    return sorted(named, key=lambda action: (action.id == "help", _NEAREST.index(action.context)))


def palette_actions(actions: Iterable[Action], context: str) -> list[Action]:
    """Return the actions that work in a context, those that the footer names first, for the palette."""
    listed = tuple(actions)
    named = footer_actions(listed, context)
    others = [action for action in alive(listed, context) if action not in named]
    return [action for action in (*named, *others) if action.id not in ("palette", "stay")]
