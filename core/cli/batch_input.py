"""Read jobs from a stream, one a line, as shell commands or JSON objects; lines are read as they are needed."""

from __future__ import annotations

import json
import re
from array import array
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from core.cli.exit_codes import Refused
from core.cli.job_options import Now, fields_of_json
from core.errors import BatchRefused, JobNotFound, NameTaken, QueueError, UsageError
from core.model import JobRef, NewJob

_BLOCK = 1 << 16
#: Bytes of a line; a longer one is no command that a system would run.
_LONGEST = 4 << 20
#: Directories that are remembered, to note those that do not exist.
_MOST_DIRECTORIES = 100


def is_json(text: str) -> bool:
    """Return whether a text means a JSON object; a shell's ``{ list; }`` has a space and then a word."""
    return re.match(r'\s*\{(?!\s)|\s*\{\s*(?:"|\}|$)', text) is not None


def is_array(text: str) -> bool:
    """Return whether a text means a JSON array, whatever is in it; a shell's ``[ test ]`` has a space and then a word.

    A pattern of file names, as ``[0-9]*.sh``, begins like an array of numbers: what does must be valid JSON.
    """
    if re.match(r'\s*\["|\s*\[\s*(?:\{|\]|$)', text) is not None:
        return True
    if re.match(r"\s*\[(?!\s)", text) is None:
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def new_job_of_text(text: str, defaults: Mapping[str, Any], now: Now) -> NewJob:
    """Return the job that a text means: a shell command or a JSON object; ``defaults`` hold where it says nothing."""
    if is_json(text):
        return NewJob(**{**defaults, **fields_of_json(text, now)})
    if is_array(text):
        raise UsageError(
            "a JSON array is no single job; give it to 'queuectl enqueue' as one word, or an object a line"
        )
    return NewJob(text, **defaults)


def _place_of(line: int) -> str:
    return f"line {line}" if line else "--then"


class JobLines:
    """The jobs of a stream; ``number`` is the line, from 1, that the newest one came from."""

    def __init__(
        self, stream: BinaryIO, separator: bytes, defaults: Mapping[str, Any], now: Now, *, then: NewJob | None = None
    ) -> None:
        self._stream = stream
        self._separator = separator
        self._defaults = defaults
        self._now = now
        self.number = 0
        #: The line of each job, by its place among them.
        self._lines_of_jobs = array("Q")
        #: Of each name the first line that gives it; 0 is --then.
        self._lines_of_names: dict[str, int] = {}
        #: What the jobs wait for, with the line that names it first, and the names that hold in this batch.
        self._lines_of_references: dict[JobRef, int] = {}
        self._refs: set[JobRef] = set()
        #: The ``cwd`` of the jobs, each once.
        self.directories: dict[str, None] = {}
        if then is not None and then.name is not None:
            self._note_name(then.name)

    def __iter__(self) -> Iterator[NewJob]:
        for line in self._lines():
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(BOM_UTF8)  # editors on Windows write it; no shell would find the command
            if not line.strip() or (line.lstrip()[:1] == b"#" and self._separator == b"\n"):
                continue  # programs, which separate by NUL, write no comments
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise UsageError("it is not valid UTF-8") from None
            job = new_job_of_text(text, self._defaults, self._now)
            if job.name is not None:
                self._note_name(job.name)
            if job.cwd is not None and len(self.directories) < _MOST_DIRECTORIES:
                self.directories.setdefault(job.cwd)
            if job.after or job.after_end or job.ref is not None:
                self._note_links(job)
            self._lines_of_jobs.append(self.number)
            yield job

    def _note_name(self, name: str) -> None:
        first = self._lines_of_names.setdefault(name, self.number)
        if first != self.number:
            place = f"first in line {first}" if first else "once in --then"
            raise Refused(f"line {self.number}: the name {name!r} is twice in this batch, {place}; nothing was added")

    def _note_links(self, job: NewJob) -> None:
        for reference in (*job.after, *job.after_end):
            self._lines_of_references.setdefault(reference, self.number)
        if job.ref is not None:
            self._refs.add(job.ref)

    @property
    def awaited(self) -> list[JobRef]:
        """The jobs outside of this batch that those in it wait for, each once."""
        return [one for one in self._lines_of_references if one not in self._refs and one not in self._lines_of_names]

    def placed(self, error: QueueError) -> QueueError:
        """Return the error of a refused batch with the number of the line that caused it."""
        if isinstance(error, NameTaken):
            line = self._lines_of_names[error.name]
            place = f"line {line}" if line else "--then"
            return Refused(
                f"{place}: a job named {error.name!r} exists already, choose another name; nothing was added"
            )
        if isinstance(error, BatchRefused):
            return Refused(f"{error.placed(self._place)}; nothing was added")
        if isinstance(error, Refused):
            return error if "nothing was added" in str(error) else Refused(f"{error}; nothing was added")
        if isinstance(error, JobNotFound):
            return JobNotFound(error.reference, _place_of(self._lines_of_references.get(error.reference, 0)))
        place, reason = f"line {self.number}", str(error)
        numbered = re.match(r"job (\d+): ", reason)
        if numbered is not None:
            place, reason = self._place(int(numbered[1]) - 1), reason[numbered.end() :]
        return type(error)(f"{place}: {reason}; nothing was added")

    def _place(self, position: int) -> str:
        """Return where the job at a position comes from; behind the last line it is the one of ``--then``."""
        return _place_of(self._lines_of_jobs[position] if position < len(self._lines_of_jobs) else 0)

    def _lines(self) -> Iterator[bytes]:
        """Yield the lines without their ends; a carriage return before a line feed belongs to the end."""
        rest = b""
        while True:
            block = self._stream.read1(_BLOCK) if hasattr(self._stream, "read1") else self._stream.read(_BLOCK)
            if not block:
                break
            lines = (rest + block).split(self._separator)
            rest = lines.pop()
            for line in lines:
                yield line.removesuffix(b"\r") if self._separator == b"\n" else line
            if len(rest) > _LONGEST:
                self.number += 1
                raise UsageError("it is too long for a command")
        if rest:
            yield rest
