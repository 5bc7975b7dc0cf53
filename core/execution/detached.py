"""Processes that outlive the one that starts them, which no process waits for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

# it ends at once, so what it started belongs to the system's first process
_IN_BACKGROUND = 'exec 3<&0; "$@" <&3 3<&- >/dev/null 2>&1 &'


def start_detached(
    words: Sequence[str], environment: Mapping[str, str] | None = None, *, stdin: int = subprocess.DEVNULL
) -> None:
    """Start a program in a session of its own, in the root directory, its output thrown away; raise ``OSError``.

    ``stdin`` is a descriptor that it reads from.
    """
    subprocess.run(
        ["/bin/sh", "-c", _IN_BACKGROUND, "sh", *words],
        env=dict(os.environ if environment is None else environment),
        stdin=stdin,
        cwd="/",
        start_new_session=True,
        check=False,
    )
