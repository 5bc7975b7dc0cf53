"""The ledger: what the jobs themselves say happened, kept apart from everything that the queue says.

Each job appends one short line per fact with a single write (O_APPEND keeps them whole):

    S id    it started                 E id    it is about to exit 0
    O id    it found another execution of the same job alive: it could not get the job's own lock
    A id    the enqueue of this id was acknowledged (written by the harness)
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import dataclass, field

#: A job that tells what it does. Its lock names its holder, because a child that outlives a killed job holds on to the
#: lock for a moment: to the queue that is something the job left in the background, not the job.
_SCRIPT = """#!/bin/sh
here=${0%/*}
hold=$here/holds/$QUEUECTL_JOB_ID
exec 8>>"$hold"
if flock -n 8; then
    echo $$ >&8
elif [ -e "/proc/$(tail -n 1 "$hold")/exe" ]; then
    echo "O $QUEUECTL_JOB_ID" >>"$here/ledger"
fi
echo "S $QUEUECTL_JOB_ID" >>"$here/ledger"
[ "$1" = 0 ] || sleep "$1" 8>&-
[ -z "$3" ] || sha256sum <"$3" 8>&- || exit 1
[ "${2:-0}" = 0 ] || exit "$2"
echo "E $QUEUECTL_JOB_ID" >>"$here/ledger"
"""


@dataclass(slots=True)
class Tally:
    """The ledger read: how often each id started, ended well, overlapped, was acknowledged."""

    started: Counter[int] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    overlapped: Counter[int] = field(default_factory=Counter)
    acknowledged: set[int] = field(default_factory=set)


class Ledger:
    """A directory with the job script, its ledger and its locks."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "ledger")
        self._script = os.path.join(directory, "job")

    def create(self) -> Ledger:
        """Make the files; return the ledger."""
        os.makedirs(os.path.join(self.directory, "holds"), exist_ok=True)
        with open(self.path, "w", encoding="ascii"):
            pass
        with open(self._script, "w", encoding="ascii") as file:
            file.write(_SCRIPT)
        os.chmod(self._script, 0o700)
        return self

    def job(self, sleep_s: float = 0.0, exit_code: int = 0, *, is_plain: bool = True, hashed: str = "") -> str:
        """Return the command of a job that sleeps and exits: plain words, or something that takes a shell to read.

        Of the file ``hashed`` it prints the digest; it fails if there is none.
        """
        words = f"{self._script} {sleep_s:g} {exit_code}" + (f" {shlex.quote(hashed)}" if hashed else "")
        return words if is_plain else f'exec {words} "$@"'

    def note(self, *lines: str) -> None:
        """Append lines with one write each."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            for line in lines:
                os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def read(self) -> Tally:
        """Read everything so far."""
        tally = Tally()
        counters = {"S": tally.started, "E": tally.ended, "O": tally.overlapped}
        with open(self.path, encoding="ascii") as file:
            for line in file:
                kind, _, job_id = line.partition(" ")
                if kind == "A":
                    tally.acknowledged.add(int(job_id))
                elif kind in counters:
                    counters[kind][int(job_id)] += 1
        return tally
