"""The menu of what can be copied of a job, and the command line that would enqueue it again."""

from __future__ import annotations

import json
import shlex

from core.model import Job
from core.rules.units import format_duration
from core.text import clean_line
from queuectl_tui.dialogs.choice_dialog import Choice, ChoiceScreen

_PREVIEW_MAX = 200


class CopyMenu(ChoiceScreen):
    """Gives ``id``, ``command``, ``output`` or ``line``; ``None`` copies nothing."""

    def __init__(self, job: Job, *, has_output: bool = True) -> None:
        choices = [
            Choice("id", "i", "Id", str(job.id)),
            Choice("command", "c", "Command", _preview(job.command)),
            Choice("line", "l", "Command line", _preview(command_line(job))),
        ]
        if has_output:
            choices.insert(2, Choice("output", "o", "Output", "what the attempt wrote"))
        super().__init__(f"Copy from job {job.id}", "", choices)


def command_line(job: Job) -> str:
    """Return the shell command that enqueues a job like this one, safe to paste; what is usual is left out."""
    words = ["queuectl", "enqueue"]
    options = {
        "--queue": job.queue if job.queue != "default" else None,
        "--priority": str(job.priority) if job.priority else None,
        "--max-attempts": str(job.max_attempts) if job.max_attempts != 3 else None,
        "--timeout": format_duration(job.timeout_s) if job.timeout_s else None,
        "--backoff-base": f"{job.backoff_base:g}" if job.backoff_base != 2.0 else None,
        "--cwd": job.cwd,
        "--label": job.label,
        "--ok-exit": job.ok_exit,
        "--dead-exit": job.dead_exit,
    }
    # with "=", so that a value that begins with a dash is no option
    words += [shlex.quote(f"{name}={value}") for name, value in options.items() if value is not None]
    command = job.command
    if command.lstrip().startswith(("{", "[")):  # a group of commands, a test: they would be read as JSON
        command = json.dumps({"command": command}, ensure_ascii=False)
    return " ".join([*words, "--", shlex.quote(command)])


def _preview(text: str) -> str:
    return clean_line(text[:_PREVIEW_MAX])
