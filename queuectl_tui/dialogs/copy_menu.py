"""The menu of what can be copied of a job: id, command, output, last words, the command line to enqueue it again."""

from __future__ import annotations

from core.model import Job
from core.rules.command_line import command_line
from core.text import clean_line
from queuectl_tui.dialogs.choice_dialog import Choice, ChoiceScreen

_PREVIEW_MAX = 200


class CopyMenu(ChoiceScreen):
    """The menu; its result is ``id``, ``command``, ``output``, ``words`` or ``line``, ``None`` for nothing."""

    def __init__(self, job: Job, *, has_output: bool = True) -> None:
        choices = [
            Choice("id", "i", "Id", str(job.id)),
            Choice("command", "c", "Command", _preview(job.command)),
        ]
        if has_output:
            choices.append(Choice("output", "o", "Output", "what the attempt wrote"))
        if job.last_line:
            choices.append(Choice("words", "w", "Last words", _preview(job.last_line)))
        choices.append(Choice("line", "l", "Command line", _preview(command_line(job))))
        super().__init__(f"Copy from job {job.id}", "", choices)


def _preview(text: str) -> str:
    return clean_line(text[:_PREVIEW_MAX])
