"""What the keys that act on jobs do: check whether they can, ask where it matters, and give the order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from core.errors import InvalidTransition
from core.model import Job, NewJob, State, View
from core.rules.states import Verb, check, works_on_any
from core.text import clean_line
from queuectl_tui.format import count
from queuectl_tui.gateway.gateway import Selected
from queuectl_tui.screens.board import Board
from queuectl_tui.screens.roster import Keys
from queuectl_tui.snapshot import Pane


class Targets(NamedTuple):
    """What a verb will act on: ids or a view, how many that are, and the command of one of them."""

    selected: Selected
    number: int
    sample: str
    noun: str


class JobKeys(Keys):
    """Handlers of the context ``jobs``: the marked jobs, else the one under the cursor."""

    contexts = ("jobs",)

    def __init__(self, board: Board) -> None:
        self._board = board

    # --- the keys

    def retry(self) -> None:
        """Replay finished jobs, make delayed ones due now."""
        targets = self._targets(Verb.RETRY, "r")
        if targets is not None:
            self._ask_if_many("Retry", targets, self._board.gateway.retry)

    def retry_all(self) -> None:
        """Retry all jobs that match in this pane."""
        if self._is_read_only("R"):
            return
        if not works_on_any(Verb.RETRY, self._board.current.states):
            self._board.toast("R: running jobs are being tried now", "warning")
            return
        targets = self._all("R")
        if targets is not None:
            self._ask("Retry all", targets, self._board.gateway.retry)

    def edit(self) -> None:
        """Edit the job, then retry it."""
        job = self._board.target_job()
        if self._is_refused("E", job, Verb.EDIT) or job is None:
            return

        def edit(changed: NewJob) -> int:
            return self._board.gateway.edit(job.id, changed_fields(job, changed), then_retry=True)

        self._board.open_form(job, edit)

    def cancel(self) -> None:
        """Cancel waiting jobs at once; ask before running ones are stopped."""
        targets = self._targets(Verb.CANCEL, "c")
        if targets is None:
            return
        job = self._board.target_job()
        if targets.number == 1 and job is not None and job.state is State.PENDING:
            self._board.gateway.cancel(targets.selected)
        else:
            self._ask("Cancel", targets, self._board.gateway.cancel)

    def kill(self) -> None:
        """Kill running jobs."""
        targets = self._targets(Verb.CANCEL, "K")
        job = self._board.target_job()
        if targets is None:
            return
        if targets.number == 1 and job is not None and job.state is State.PENDING:
            self._board.toast(f"K: job {job.id} does not run; c cancels it", "warning")
        else:
            self._ask("Kill", targets, lambda selected: self._board.gateway.cancel(selected, kill=True))

    def purge(self) -> None:
        """Remove finished jobs from sight."""
        targets = self._targets(Verb.PURGE, "d")
        if targets is not None:
            self._ask("Purge", targets, self._board.gateway.purge)

    def purge_all(self) -> None:
        """Remove all jobs that match in this pane."""
        if self._is_read_only("D"):
            return
        if not works_on_any(Verb.PURGE, self._board.current.states):
            self._board.toast("D: only finished jobs can be purged; cancel these first", "warning")
            return
        targets = self._all("D")
        if targets is not None:
            self._ask("Purge all", targets, self._board.gateway.purge)

    # --- what they act on

    def _has_marks(self) -> bool:
        return self._board.table.mark_count > 0

    def _targets(self, verb: Verb, key: str) -> Targets | None:
        """Return the marked jobs, else the one under the cursor; say why when the verb cannot act on it."""
        if self._is_read_only(key):
            return None
        job = self._board.target_job()
        if self._has_marks():
            return self._of_selection(self._board.box.selected(), self._board.table.mark_count)
        if self._is_refused(key, job, verb) or job is None:
            return None
        return Targets([job.id], 1, job.command, noun_of(job))

    def _all(self, key: str) -> Targets | None:
        data = self._board.table.data
        if not data.total:
            self._board.toast(f"{key}: there is no job in this pane", "warning")
            return None
        return self._of_selection(self._board.box.view, data.total)

    def _of_selection(self, selected: Selected, number: int) -> Targets:
        rows = self._board.table.data.rows
        ids = None if isinstance(selected, View) else set(selected)
        job = next((row.job for row in rows if ids is None or row.job.id in ids), self._board.table.cursor_job)
        nouns = {Pane.PENDING: "waiting", Pane.RUNNING: "running", Pane.DLQ: "dead"}
        return Targets(selected, number, job.command if job else "", nouns.get(self._board.current, "finished"))

    def _is_read_only(self, key: str) -> bool:
        if self._board.gateway.is_read_only:
            self._board.toast(f"{key}: this dashboard only looks (--read-only)", "warning")
        return self._board.gateway.is_read_only

    def _is_refused(self, key: str, job: Job | None, verb: Verb) -> bool:
        """Say why a key cannot act here; tell whether it cannot."""
        if self._is_read_only(key):
            return True
        if job is None:
            self._board.toast(f"{key}: there is no job under the cursor", "warning")
            return True
        try:
            check(verb, job.id, job.state)
        except InvalidTransition as error:
            self._board.toast(f"{key}: {error}", "warning")
            return True
        return False

    # --- asking

    def _ask_if_many(self, verb: str, targets: Targets, do: Callable[[Selected], int]) -> None:
        if targets.number == 1:
            self._give(targets, do)
        else:
            self._ask(verb, targets, do)

    def _ask(self, verb: str, targets: Targets, do: Callable[[Selected], int]) -> None:
        number = targets.number
        what = f"{targets.noun} job" if number == 1 else f"{count(number)} {targets.noun} jobs"
        self._board.ask(f"{verb} {what}?", clean_line(targets.sample), number, partial(self._give, targets, do))

    def _give(self, targets: Targets, do: Callable[[Selected], int]) -> None:
        """Give an order and take the marks away; they come back if it is refused."""
        ticket = do(targets.selected)
        if self._has_marks():
            table = self._board.table
            self._board.on_refusal[ticket] = partial(table.give_back_marks, table.take_marks())


def noun_of(job: Job) -> str:
    """Return the word for a job in a question."""
    return {State.PENDING: "waiting", State.RUNNING: "running"}.get(job.state, job.state.value)


def changed_fields(job: Job, changed: NewJob) -> dict[str, object]:
    """Return what a form changed in a job, as the fields of ``Queue.edit``."""
    from queuectl_tui.dialogs.job_form import as_new

    before = as_new(job)
    names = (name for name in NewJob._fields if name not in ("name", "env"))
    return {name: getattr(changed, name) for name in names if getattr(changed, name) != getattr(before, name)}
