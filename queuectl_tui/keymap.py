"""The one table of keys and actions: bindings, footer, help, palette and README are made from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Action(NamedTuple):
    """One thing a key does. ``short`` is its word in the footer ("" never stands there); ``help`` one sentence.

    ``keys`` are written as people type them: ``"e"``, ``"?"``, ``"ctrl+u"``, ``"pageup"``.
    """

    id: str
    keys: tuple[str, ...]
    context: str
    short: str
    help: str


#: Contexts in the order of the help, with what the help calls them.
CONTEXTS: Mapping[str, str] = {
    "everywhere": "Everywhere",
    "lists": "Lists",
    "jobs": "Jobs (the marked ones, else the one under the cursor)",
    "output": "Output",
    "detail": "Detail",
    "confirm": "Confirmation",
}

#: Which contexts are alive together; no key may mean two things in one of these sets.
ALIVE_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "lists": ("everywhere", "lists", "jobs"),
    "output": ("everywhere", "output", "jobs"),
    "detail": ("everywhere", "detail", "jobs"),
    "confirm": ("confirm",),
}

ACTIONS: tuple[Action, ...] = (
    # everywhere
    Action("pane_pending", ("1",), "everywhere", "", "Go to the pending jobs."),
    Action("pane_running", ("2",), "everywhere", "", "Go to the running jobs."),
    Action("pane_completed", ("3",), "everywhere", "", "Go to the completed and cancelled jobs."),
    Action("pane_dlq", ("4",), "everywhere", "", "Go to the dead letter queue."),
    Action("go_output", ("5",), "everywhere", "", "Go to the output of the job under the cursor."),
    Action("go_detail", ("6",), "everywhere", "", "Go to the detail of the job under the cursor."),
    Action("next_pane", ("tab",), "everywhere", "", "Go to the next pane."),
    Action("previous_pane", ("shift+tab",), "everywhere", "", "Go to the previous pane."),
    Action("zoom_in", ("+", "="), "everywhere", "", "Give the focused pane the whole screen."),
    Action("zoom_out", ("_", "-"), "everywhere", "", "Show all panes again."),
    Action("enqueue", ("e",), "everywhere", "enqueue", "Enqueue a job."),
    Action("pause", ("p",), "everywhere", "pause", "Pause or resume the whole queue; running jobs go on."),
    Action("fewer_slots", ("(",), "everywhere", "", "Run one job less at the same time."),
    Action("more_slots", (")",), "everywhere", "", "Run one job more at the same time."),
    Action("undo", ("z",), "everywhere", "", "Undo the last purge, replay, retry, edit or cancel."),
    Action("theme", ("ctrl+t",), "everywhere", "", "Switch to the next theme; the choice is remembered."),
    Action("palette", (":", "ctrl+p"), "everywhere", "", "Search all commands by name."),
    Action("back", ("q",), "everywhere", "", "Go back one step; at the root, quit."),
    Action("quit", ("ctrl+q",), "everywhere", "", "Quit; asks first when this dashboard runs jobs."),
    Action("stay", ("ctrl+c",), "everywhere", "", "Say how to quit; never kills a job."),
    # jobs
    Action("retry", ("r",), "jobs", "retry", "Replay a finished job; run a delayed one now."),
    Action("retry_all", ("R",), "jobs", "", "Retry all jobs of the pane that match its filter."),
    Action("edit", ("E",), "jobs", "edit", "Edit the job, then retry it."),
    Action("cancel", ("c",), "jobs", "cancel", "Cancel a waiting or running job."),
    Action("kill", ("K",), "jobs", "", "Kill a running job at once."),
    Action("purge", ("d",), "jobs", "purge", "Purge a finished job; can be undone."),
    Action("purge_all", ("D",), "jobs", "", "Purge all jobs of the pane that match its filter."),
    # lists
    Action(
        "filter", ("/",), "lists", "filter", "Filter the pane: words match the command; queue:media exit:1 >5m !not."
    ),
    Action("open", ("enter",), "lists", "detail", "Show the detail of the job under the cursor."),
    Action("show_output", ("l", "right"), "lists", "output", "Go to the output of the job under the cursor."),
    Action("mark", ("space",), "lists", "mark", "Mark the job and move on."),
    Action("down", ("j", "down"), "lists", "", "Move down."),
    Action("up", ("k", "up"), "lists", "", "Move up."),
    Action("top", ("g", "home"), "lists", "", "Go to the first job and stay with the newest."),
    Action("bottom", ("G", "end"), "lists", "", "Go to the last job."),
    Action("page_down", ("pagedown",), "lists", "", "Move down one page."),
    Action("page_up", ("pageup",), "lists", "", "Move up one page."),
    Action("half_down", ("ctrl+d",), "lists", "", "Move down half a page."),
    Action("half_up", ("ctrl+u",), "lists", "", "Move up half a page."),
    Action("range", ("v",), "lists", "", "Start or end a range of marks."),
    Action("mark_all", ("ctrl+a",), "lists", "", "Mark all jobs of the pane that match its filter."),
    Action("clear", ("escape",), "lists", "", "Clear the filter, then the marks."),
    Action("sort", ("s",), "lists", "", "Sort by the next order: default, id, command, duration, cpu, memory."),
    Action("reverse", ("S",), "lists", "", "Reverse the order."),
    Action("copy", ("y",), "lists", "", "Copy the id, the command, the output or the command line that does the same."),
    # output
    Action("follow", ("f",), "output", "follow", "Follow the end of the output, or stop following."),
    Action("wrap", ("w",), "output", "wrap", "Wrap long lines, or cut them."),
    Action("search", ("/",), "output", "search", "Search in the output."),
    Action("find_next", ("n",), "output", "", "Go to the next match."),
    Action("find_previous", ("N",), "output", "", "Go to the previous match."),
    Action("previous_attempt", ("[",), "output", "attempt", "Show the output of the attempt before."),
    Action("next_attempt", ("]",), "output", "", "Show the output of the attempt after."),
    Action("output_down", ("j", "down"), "output", "", "Scroll down."),
    Action("output_up", ("k", "up"), "output", "", "Scroll up."),
    Action("output_page_down", ("pagedown", "ctrl+d", "space"), "output", "", "Scroll down one page."),
    Action("output_page_up", ("pageup", "ctrl+u"), "output", "", "Scroll up one page."),
    Action("output_top", ("g", "home"), "output", "", "Go to the start of the output."),
    Action("output_bottom", ("G", "end"), "output", "", "Go to the end of the output and follow it."),
    Action("output_left", ("left", "h"), "output", "", "Scroll left; at the margin, go back to the list."),
    Action("output_right", ("right", "l"), "output", "", "Scroll right."),
    Action("copy_output", ("y",), "output", "copy", "Copy the output, the id or the command."),
    Action("pager", ("o",), "output", "pager", "Open the output in $PAGER."),
    Action("save", ("ctrl+s",), "output", "save", "Save the output to a file."),
    Action("leave_output", ("escape",), "output", "", "Go back to the list."),
    # detail
    Action("previous_tab", ("[", "left", "h"), "detail", "tab", "Show the tab before."),
    Action("next_tab", ("]", "right", "l"), "detail", "", "Show the tab after."),
    Action("detail_down", ("j", "down"), "detail", "", "Scroll down."),
    Action("detail_up", ("k", "up"), "detail", "", "Scroll up."),
    Action("detail_output", ("enter",), "detail", "output", "Go to the output."),
    Action("copy_detail", ("y",), "detail", "copy", "Copy the id, the command or the output."),
    Action("leave_detail", ("escape",), "detail", "", "Go back to the list."),
    # help comes last, so that it stands at the end of the footer
    Action("help", ("?", "f1"), "everywhere", "help", "Show all keys."),
    # confirmation
    Action("confirm_yes", ("y",), "confirm", "yes", "Do it; above 50 jobs, type the count instead."),
    Action("confirm_no", ("n", "escape"), "confirm", "no", "Leave everything as it is."),
)

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
    for place, contexts in ALIVE_TOGETHER.items():
        taken: dict[str, Action] = {}
        for action in listed:
            if action.context not in contexts:
                continue
            for key in action.keys:
                other = taken.setdefault(key, action)
                if other is not action:
                    raise KeyClash(f"key {key!r} is both {other.id!r} and {action.id!r} in {place}")


def remapped(remaps: Mapping[str, str], actions: tuple[Action, ...] = ACTIONS) -> tuple[Action, ...]:
    """Return the table with the keys of some actions replaced: action id -> keys with spaces between them.

    Raise ``KeyClash`` when an action does not exist, would have no key, or two would share one.
    """
    known = {action.id for action in actions}
    for action_id, text in remaps.items():
        if action_id not in known:
            raise KeyClash(f"no action {action_id!r} to remap; see the help for their names")
        if not text.split():
            raise KeyClash(f"action {action_id!r} needs a key")
    changed = tuple(
        action._replace(keys=tuple(remaps[action.id].split())) if action.id in remaps else action for action in actions
    )
    check_clashes(changed)
    return changed


def alive(actions: Iterable[Action], place: str) -> list[Action]:
    """Return the actions that work in a place (a key of ``ALIVE_TOGETHER``), in table order."""
    contexts = ALIVE_TOGETHER[place]
    return [action for action in actions if action.context in contexts]


def footer_actions(actions: Iterable[Action], place: str) -> list[Action]:
    """Return the actions that the footer of a place names, the most useful first, the help last.

    In output and detail those come first that only work there.
    """
    named = [action for action in alive(actions, place) if action.short]
    if place in ("output", "detail"):
        named.sort(key=lambda action: (action.id == "help", action.context != place))
    return named


def help_sections(actions: Iterable[Action]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the help: (section title, [(keys, sentence)]) with every action of the table in it."""
    listed = tuple(actions)
    return [
        (
            title,
            [
                (" ".join(key_name(key) for key in action.keys), action.help)
                for action in listed
                if action.context == context
            ],
        )
        for context, title in CONTEXTS.items()
    ]
