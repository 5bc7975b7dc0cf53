"""What the keys that act on jobs do: check whether they can, ask where it matters, and order it from the gateway."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.screen import Screen

from core.errors import InvalidTransition
from core.model import DeadGroup, Dependency, Job, LastAct, NewJob, State, Term, Verb, View
from core.rules.states import check, works_on_any
from core.rules.units import fingerprint_text
from core.text import clean_line
from core.wording import count, span
from queuectl_tui.application import Program
from queuectl_tui.cells import clip
from queuectl_tui.gateway.gateway import Gateway, Selected
from queuectl_tui.messages import ActDone, ActRefused
from queuectl_tui.snapshot import JobDetail, Pane
from queuectl_tui.toasts import refuse_in_read_only, toast
from queuectl_tui.type_ahead import TypeAhead
from queuectl_tui.widgets.confirm_bar import Ask
from queuectl_tui.widgets.group_line import words_of
from queuectl_tui.widgets.pane_box import PaneBox

if TYPE_CHECKING:
    from queuectl_tui.dialogs.enqueue import EnqueueScreen
    from queuectl_tui.dialogs.job_form import EditedJob

_NOUNS = {Pane.PENDING: "waiting", Pane.RUNNING: "running", Pane.COMPLETED: "finished", Pane.DLQ: "dead"}

#: How much of what a group died of stands in a question, in cells.
_WORDS_CELLS = 40


class Targets(NamedTuple):
    """What a verb acts on: ids or a view, how many jobs that is, the command of one of them, and their noun.

    They are called ``is_held`` when all of them that are on the screen are.
    """

    box: PaneBox
    selected: Selected
    number: int
    sample: str
    noun: str
    is_held: bool = False

    @property
    def word_for_again(self) -> str:
        """What another try of them is: of waiting jobs a retry, of ended ones a replay."""
        return "Retry" if self.noun == _NOUNS[Pane.PENDING] else "Replay"


class JobActions:
    """Orders what becomes of jobs: of the marked ones of a list, else of the one under the cursor.

    An order is carried out on another thread; its ticket names it until ``act_done`` or ``act_refused``. Until then
    the form that gave it stays open, and marks that were taken away with it can come back.
    """

    def __init__(
        self,
        screen: Screen[None],
        gateway: Gateway,
        program: Program,
        type_ahead: TypeAhead,
        ask: Ask,
    ) -> None:
        self._screen = screen
        self._gateway = gateway
        self._program = program
        self._type_ahead = type_ahead
        self._ask = ask
        self._on_refusal: dict[int, Callable[[], None]] = {}
        self._awaiting: tuple[int, EnqueueScreen] | None = None

    # --- one verb a method

    def retry(self, box: PaneBox, job: Job | None, key: str = "r") -> None:
        """Replay finished jobs, make delayed ones due now; ask about more than one.

        With the key ``T`` all that hang on them are retried, too, after a question.
        """
        targets = self._targets(box, job, Verb.RETRY, key)
        if targets is None:
            return
        if key == "T":
            also = f" and all that hang on {'it' if targets.number == 1 else 'them'}"
            self._ask_about(targets.word_for_again, targets, self._again(targets, with_dependents=True), also)
        elif targets.number == 1:
            self._order(targets, self._again(targets))
        else:
            self._ask_about(targets.word_for_again, targets, self._again(targets))

    def retry_all(self, box: PaneBox) -> None:
        """Retry all jobs that match in a pane, after a question."""
        if self.is_read_only("R"):
            return
        if not works_on_any(Verb.RETRY, box.pane.states):
            toast(self._screen, "R: running jobs are being tried now", "warning")
        elif (targets := self._all(box, "R")) is not None:
            self._ask_about(f"{targets.word_for_again} all", targets, self._again(targets))

    def cancel(self, box: PaneBox, job: Job | None) -> None:
        """Cancel one waiting job at once; ask about more, and before running ones are stopped."""
        targets = self._targets(box, job, Verb.CANCEL, "c")
        if targets is None:
            return
        if targets.number == 1 and job is not None and job.state is State.PENDING:
            self._gateway.cancel(targets.selected)
        else:
            self._ask_about("Cancel", targets, self._gateway.cancel)

    def hold(self, box: PaneBox, job: Job | None) -> None:
        """Hold one waiting job at once, or release it; ask about more, which are released if all seen are held."""
        targets = self._targets(box, job, Verb.HOLD, "h")
        if targets is None:
            return
        is_held = targets.is_held
        order = partial(self._gateway.set_held, is_held=not is_held)
        if targets.number == 1:
            self._order(targets, order)
        else:
            self._ask_about("Release" if is_held else "Hold", targets, order)

    def kill(self, box: PaneBox, job: Job | None) -> None:
        """Kill running jobs, after a question."""
        targets = self._targets(box, job, Verb.CANCEL, "K")
        if targets is None:
            return
        if targets.number == 1 and job is not None and job.state is State.PENDING:
            toast(self._screen, f"K: job {job.id} does not run; c cancels it", "warning")
        else:
            self._ask_about("Kill", targets, partial(self._gateway.cancel, kill=True))

    def purge(self, box: PaneBox, job: Job | None) -> None:
        """Purge one finished job at once, since that can be undone; ask about more."""
        targets = self._targets(box, job, Verb.PURGE, "d")
        if targets is None:
            return
        if targets.number == 1:
            self._order(targets, self._gateway.purge)
        else:
            self._ask_about("Purge", targets, self._gateway.purge)

    def purge_all(self, box: PaneBox) -> None:
        """Purge all jobs that match in a pane, after a question."""
        if self.is_read_only("D"):
            return
        if not works_on_any(Verb.PURGE, box.pane.states):
            toast(self._screen, "D: only finished jobs can be purged; cancel these first", "warning")
        elif (targets := self._all(box, "D")) is not None:
            self._ask_about("Purge all", targets, self._gateway.purge)

    def retry_group(self, group: DeadGroup | None) -> None:
        """Replay all jobs of a group, after a question."""
        self._ask_about_group("Replay", "r", group, partial(self._gateway.retry, is_replay=True))

    def canary_group(self, group: DeadGroup | None) -> None:
        """Replay one job of a group, and the rest once it completes, after a question."""
        if group is not None and group.number == 1 and not self._is_group_refused("C", group):
            toast(self._screen, "C: only one job died of this; r replays it", "warning")
        else:
            self._ask_about_group(
                "Replay one, and once it completes all, of", "C", group, partial(self._gateway.retry, is_canary=True)
            )

    def purge_group(self, group: DeadGroup | None) -> None:
        """Purge all jobs of a group, after a question."""
        self._ask_about_group("Purge", "d", group, self._gateway.purge)

    def edit_group(self, group: DeadGroup | None, queues: Sequence[str]) -> None:
        """Edit the one job of a group; a form cannot say what is to become of several."""
        if self._is_group_refused("E", group) or group is None:
            return
        if group.number == 1:
            self.edit(group.sample, queues)
        else:
            jobs = count(group.number, "job")
            toast(self._screen, f"E: {jobs} died of this, a form holds one; ⏎ opens the group", "warning")

    def edit(self, job: Job | None, queues: Sequence[str], detail: JobDetail | None = None) -> None:
        """Change a job in a form, then retry it unless something keeps it back.

        The form suggests the names of ``queues``, and has what the job waits for if ``detail`` is its own and says it.
        """
        if self._is_refused("E", job, Verb.EDIT) or job is None:
            return
        from queuectl_tui.dialogs.job_form import EditedJob, changed_fields

        edited = EditedJob(job, known_edges(job, detail))

        def edit(changed: NewJob) -> int:
            is_kept_back = edited.is_kept_back(changed.after, changed.after_end)
            return self._gateway.edit(job.id, changed_fields(edited.as_new(), changed), then_retry=not is_kept_back)

        self._open_form(edited, queues, edit)

    def enqueue(self, queues: Sequence[str]) -> None:
        """Fill in a new job in a form and add it; the form suggests the names of ``queues``."""
        if not self.is_read_only("e"):
            self._open_form(None, queues, self._gateway.enqueue)

    def undo(self) -> None:
        """Look for the last act that can be undone; ``undo_offered`` asks about it."""
        if not self.is_read_only("z"):
            self._type_ahead.hold()
            self._gateway.offer_undo()

    def is_read_only(self, key: str) -> bool:
        """Return whether nothing may be changed, and say so for a key that would."""
        return self._gateway.is_read_only and refuse_in_read_only(self._screen, True, key)

    # --- what became of an order

    def undo_offered(self, last: LastAct | None) -> None:
        """Ask before the last act is undone, or say why it cannot be; then act on the keys typed meanwhile."""
        if last is None:
            toast(self._screen, "z: there is nothing to undo", "warning")
        elif last.obstacle is not None:
            toast(self._screen, f"z: {last.refusal}", "warning")
        else:
            ago, act = span((self._gateway.now() - last.at).total_seconds()), last.act
            self._ask(f"Undo {last.title}, {ago} ago?", last.sample, act.count, partial(self._gateway.undo, act.id))
        self._type_ahead.give_back(self._screen.app)

    def act_done(self, message: ActDone) -> None:
        """Report what was done, and close the form that ordered it."""
        self._answer_form(message.ticket, None)
        self._on_refusal.pop(message.ticket, None)
        if message.text:
            toast(self._screen, message.text)

    def act_refused(self, message: ActRefused) -> None:
        """Report why something was not done, in the form that ordered it if there is one; give marks back."""
        if message.verb == "undo":
            self._type_ahead.give_back(self._screen.app)
        if (give_back := self._on_refusal.pop(message.ticket, None)) is not None:
            give_back()
        if not self._answer_form(message.ticket, message.reason, message.field_id):
            toast(self._screen, message.reason, "error")

    # --- what a verb acts on

    def _targets(self, box: PaneBox, job: Job | None, verb: Verb, key: str) -> Targets | None:
        """Return the marked jobs of a list, else ``job``; report why and return ``None`` if the verb cannot act."""
        if box.table.marks.count and not self.is_read_only(key):
            return self._of_selection(box, box.selected(), box.table.marks.count)
        if box.table.marks.count or self._is_refused(key, job, verb) or job is None:
            return None
        return Targets(box, [job.id], 1, job.command, noun_of(job), job.is_held)

    def _all(self, box: PaneBox, key: str) -> Targets | None:
        total = box.table.cursor.data.total
        if not total:
            toast(self._screen, f"{key}: there is no job in this pane", "warning")
            return None
        return self._of_selection(box, box.view, total)

    def _of_selection(self, box: PaneBox, selected: Selected, number: int) -> Targets:
        ids = None if isinstance(selected, View) else set(selected)
        jobs = [row.job for row in box.table.cursor.data.rows if ids is None or row.job.id in ids]
        job = jobs[0] if jobs else box.table.cursor.job
        is_held = bool(jobs) and all(each.is_held for each in jobs)
        return Targets(box, selected, number, job.command if job else "", _NOUNS[box.pane], is_held)

    def _is_refused(self, key: str, job: Job | None, verb: Verb) -> bool:
        """Return whether a key cannot act on a job, and report why."""
        if self.is_read_only(key):
            return True
        if job is None:
            toast(self._screen, f"{key}: there is no job under the cursor", "warning")
            return True
        try:
            check(verb, job.id, job.state)
        except InvalidTransition as error:
            toast(self._screen, f"{key}: {error}", "warning")
            return True
        return False

    def _is_group_refused(self, key: str, group: DeadGroup | None) -> bool:
        """Return whether a key cannot act on a group, and report why."""
        if self.is_read_only(key):
            return True
        if group is None:
            toast(self._screen, f"{key}: there is no group under the cursor", "warning")
        elif group.fingerprint is None:
            toast(self._screen, f"{key}: what these jobs died of was not read yet", "warning")
        return group is None or group.fingerprint is None

    # --- ordering

    def _again(self, targets: Targets, *, with_dependents: bool = False) -> Callable[[Selected], int]:
        if with_dependents:
            return partial(self._gateway.retry, with_dependents=True)
        return partial(self._gateway.retry, is_replay=targets.word_for_again == "Replay")

    def _ask_about_group(self, verb: str, key: str, group: DeadGroup | None, order: Callable[[Selected], int]) -> None:
        """Ask about all jobs of a group, those that died of the same until the answer included."""
        if self._is_group_refused(key, group) or group is None or group.fingerprint is None:
            return
        view = View((State.DEAD,), (Term("group", fingerprint_text(group.fingerprint)),))
        jobs = "1 dead job" if group.number == 1 else f"{count(group.number)} dead jobs"
        question = f"{verb} {jobs} of {clip(words_of(group), _WORDS_CELLS)}?"
        sample = clean_line(group.sample.command) if group.sample.last_line else ""  # else the words have it

        def act() -> None:
            order(view)

        self._ask(question, sample, group.number, act)

    def _ask_about(self, verb: str, targets: Targets, order: Callable[[Selected], int], also: str = "") -> None:
        number = targets.number
        what = f"{targets.noun} job" if number == 1 else f"{count(number)} {targets.noun} jobs"
        self._ask(f"{verb} {what}{also}?", clean_line(targets.sample), number, partial(self._order, targets, order))

    def _order(self, targets: Targets, order: Callable[[Selected], int]) -> None:
        """Give an order and take the marks away; they come back if it is refused."""
        ticket, table = order(targets.selected), targets.box.table
        if table.marks.count:
            self._on_refusal[ticket] = partial(table.marks.give_back, table.marks.take())

    # --- the form

    def _open_form(self, edited: EditedJob | None, queues: Sequence[str], order: Callable[[NewJob], int]) -> None:
        """Open the form for a new job, or for one that is edited; it stays until its order is carried out."""
        from queuectl_tui.dialogs.enqueue import EnqueueScreen

        def submit(job: NewJob) -> None:
            self._awaiting = order(job), form

        def closed(job: NewJob | None) -> None:
            if job is not None and edited is None and job.cwd:
                self._program.remember_directory(job.cwd)

        last = self._program.last_directory
        new = NewJob("", cwd=last if last and os.path.isdir(last) else os.getcwd())
        form = EnqueueScreen(new, queues, submit, self._type_ahead, edit=edited, now=self._gateway.now)
        self._screen.app.push_screen(form, closed)

    def _answer_form(self, ticket: int, reason: str | None, field_id: str | None = None) -> bool:
        """Close the form that waits for an order, or give it the ``reason`` of a refusal; return whether it is open."""
        if self._awaiting is None or self._awaiting[0] != ticket:
            return False
        form, self._awaiting = self._awaiting[1], None
        if form not in self._screen.app.screen_stack:
            return False
        form.answer(reason, field_id)
        return True


def known_edges(job: Job, detail: JobDetail | None) -> Sequence[Dependency] | None:
    """Return by what a pending job waits; ``None`` for one that does not wait, or where ``detail`` does not say it."""
    if job.state is not State.PENDING:
        return None
    if job.blocks <= job.is_held:
        return ()
    return detail.edges if detail is not None and detail.job.id == job.id else None


def noun_of(job: Job) -> str:
    """Return the word for a job in a question."""
    return {State.PENDING: "waiting", State.RUNNING: "running"}.get(job.state, job.state.value)
