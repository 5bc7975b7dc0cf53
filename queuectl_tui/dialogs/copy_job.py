"""Copy of a job its id, command, output, last words or command line: the menu, OSC 52 and, if found, a native tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from textual.app import App

from core.errors import QueueError
from core.model import Job
from core.rules.command_line import command_line
from core.text import clean_line
from core.wording import size
from queuectl_tui.dialogs.choice_dialog import Choice, ChoiceScreen
from queuectl_tui.snapshot import Readable
from queuectl_tui.toasts import toast

#: The most bytes of an output that are copied, from its end: terminals refuse more.
MAX_COPIED_BYTES = 100_000
#: Native tools by the variable of the session in which they work.
_TOOLS: tuple[tuple[str | None, Sequence[str]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    (None, ("pbcopy",)),
    ("WSL_DISTRO_NAME", ("clip.exe",)),
)
_TOOL_TIMEOUT_S = 3.0
#: How much of a text the menu shows, in characters.
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


def native_tool() -> Sequence[str] | None:
    """Return the command that reads a clipboard's text from stdin here, if there is one."""
    for variable, command in _TOOLS:
        if (variable is None or os.environ.get(variable)) and shutil.which(command[0]):
            return command
    return None


def offer_copy(app: App[Any], job: Job, output: Readable | None) -> None:
    """Open the menu of what to copy of a job, its output included if that is loaded, and copy what is chosen."""

    def chosen(what: str | None) -> None:
        if what is not None:
            _copy(app, job, what, output)

    app.push_screen(CopyMenu(job, has_output=output is not None), chosen)


def _copy(app: App[Any], job: Job, what: str, output: Readable | None) -> None:
    if what == "output" and output is not None:
        try:
            text = tail_text(output)
        except (OSError, QueueError) as error:
            toast(app, f"The output was not copied: {error}", "error")
            return
        said = f"{size(len(text.encode()))} of output copied."
    elif what == "id":
        text, said = str(job.id), f"Id {job.id} copied."
    else:
        text = {"command": job.command, "words": clean_line(job.last_line or "")}.get(what) or command_line(job)
        said = f"Copied: {clean_line(text)[:80]}"
    app.copy_to_clipboard(text)
    if (tool := native_tool()) is not None:
        threading.Thread(target=_give_to, args=(tool, text), name="queuectl-clipboard", daemon=True).start()
    toast(app, said)


def tail_text(output: Readable) -> str:
    """Return the end of an output as text, as much as a clipboard has room for."""
    total = output.size()
    start = max(0, total - MAX_COPIED_BYTES)
    return output.read(start, total - start).decode("utf-8", "replace")


def _give_to(tool: Sequence[str], text: str) -> None:
    try:
        subprocess.run(
            tool,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return  # the terminal was given the text all the same
