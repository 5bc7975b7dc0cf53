"""Tells the person what the gateway reports: what was done or refused, how far it is, what ails the worker."""

from __future__ import annotations

from queuectl_tui.format import span
from queuectl_tui.messages import (
    ActDone,
    ActProgressed,
    ActRefused,
    JobEnqueued,
    RangeRead,
    UndoOffered,
    WorkerEnded,
    WorkerReported,
)
from queuectl_tui.screens.board import Board


class Telling(Board, inherit_bindings=False):
    """The part of the dashboard that speaks; what it speaks of are facts that need no picture."""

    def on_job_enqueued(self, message: JobEnqueued) -> None:
        """Stay with the new job, through all panes, until the person looks at another."""
        self.toast(f"Job {message.job_id} enqueued.")
        self.stay_with(message.job_id)

    def on_undo_offered(self, message: UndoOffered) -> None:
        """Ask before the last act is undone, or say why it cannot be."""
        last = message.last
        if last is None:
            self.toast("z: there is nothing to undo", "warning")
        elif last.obstacle is not None:
            self.toast(f"z: {last.refusal}", "warning")
        else:
            ago, act = span((self.now() - last.at).total_seconds()), last.act
            self.ask(f"Undo {last.title}, {ago} ago?", last.sample, act.count, lambda: self.gateway.undo(act.id))
        self.held_keys.give_back(self.app)

    def on_act_done(self, message: ActDone) -> None:
        """Tell what was done, and close the form that asked for it."""
        self.footer.clear_progress()
        self.answer_form(message.ticket, None)
        self.on_refusal.pop(message.ticket, None)
        if message.text:
            self.toast(message.text)

    def on_act_refused(self, message: ActRefused) -> None:
        """Tell why something was not done, in the form that asked for it if there is one."""
        self.footer.clear_progress()
        if message.verb == "undo":
            self.held_keys.give_back(self.app)
        if (undo := self.on_refusal.pop(message.ticket, None)) is not None:
            undo()
        if not self.answer_form(message.ticket, message.reason, message.field_id):
            self.toast(message.reason, "error")

    def on_act_progressed(self, message: ActProgressed) -> None:
        """Show how far a bulk act is."""
        self.footer.show_progress(message.verb, message.done, message.total)

    def on_range_read(self, message: RangeRead) -> None:
        """Give a table the ids it asked for."""
        self.boxes[message.pane].table.learn(message.start, message.ids)

    def on_worker_reported(self, message: WorkerReported) -> None:
        """Show a trouble of the worker, but for one that the newest picture has already."""
        if not (message.is_of_storage and self.snapshot.error is not None):
            self.toast(message.text, message.severity)

    def on_worker_ended(self, message: WorkerEnded) -> None:
        """Tell that this dashboard runs no jobs any more."""
        self.toast(f"The worker {message.error}.", "error")
