"""Move a whole queue from one database to another, of the same engine or not: resumable, checked, never in two places.

All rows are copied part by part, compared after they were written, and the files of outputs with them. Then, with all
other writers kept out, both databases are compared once more and the source is marked as moved; only after that the
target lets others in. A move that was ended at any moment goes on when it is started again: what is equal is skipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.addresses import absolute_address, without_password
from core.errors import DatabaseError, Refused, UsageError
from core.locks import create_private, sync_directory
from core.model import State
from core.output import read_part, shared_parts
from core.rules.settings import Settings
from core.storage.contract import Storage
from core.storage.open import open_storage
from core.storage.transfer import ATTEMPTS, ATTEMPTS_ALONE, JOBS, PARTS, Part, Record
from core.storage.transfer_words import move_command
from core.wording import count

#: Called with what is done, how many rows of it are, and of how many; 0 of an unknown number.
MoveProgress = Callable[[str, int, int], None]

_BLOCK = 1 << 20
_ID, _OUTPUT_BYTES, _OUTPUT = (ATTEMPTS.columns.index(name) for name in ("id", "output_bytes", "output"))


class _Chunk(NamedTuple):
    """Rows of a part, by key, between two keys, and what digests are made of; without ``until`` up to the end."""

    records: list[Record]
    text: str
    after: Record | None
    until: Record | None


class MovedPart(NamedTuple):
    """One part of a queue that was moved: how many rows, and the SHA-256 of them as both databases give them back."""

    rows: int
    sha256: str


class Moved(NamedTuple):
    """What a move has done: the addresses without passwords, the parts by name, and the files of outputs.

    ``files`` is their number and digest; ``missing`` are the attempts whose output could not be read.
    """

    source: str
    target: str
    parts: dict[str, MovedPart]
    files: MovedPart
    missing: tuple[int, ...]


def move(
    source: str, target: str, *, skip_missing_outputs: bool = False, progress: MoveProgress | None = None
) -> Moved:
    """Move the queue at one address to another, where there is none yet; return what was moved.

    Raises ``Refused`` while workers run or attempts are open, for a target that has jobs, and for outputs that cannot
    be read unless ``skip_missing_outputs``. Whatever ends it, one of the two can be used, and never both.
    """
    source, target = absolute_address(source), absolute_address(target)
    for address in (source, target):
        _check_text(address)
    if source == target:
        raise UsageError("FROM and TO are the same database")
    with contextlib.closing(open_storage(source, create=False)) as before:
        before.transfer.check_rights()
        _check_source(before, target)
        with contextlib.closing(open_storage(target)) as after:
            return _Move(before, after, skip_missing_outputs, progress or (lambda what, done, of: None)).run()


def _check_text(address: str) -> None:
    """Raise ``UsageError`` for a path that is no UTF-8, before anything is made: each database keeps the other's."""
    try:
        address.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(address).decode("utf-8", "backslashreplace")
        raise UsageError(f"'{shown}' is not valid UTF-8, and a move keeps it as text; name another path") from None


def _check_source(source: Storage, target: str) -> None:
    """Raise ``Refused`` for a source that cannot be moved to an address, before anything is made there."""
    state, target = source.transfer.state(), without_password(target)
    if state.filled_from is not None:
        raise Refused(
            f"{source.address} is not whole: finish {move_command(state.filled_from, source.address)!r} first"
        )
    if state.moved_to is None:
        _check_idle(source)
    elif _resolved(state.moved_to) != _resolved(target):
        raise Refused(f"{source.address} was moved to {state.moved_to} already")


def _check_idle(storage: Storage) -> None:
    workers = [worker for worker in storage.workers.workers() if worker.is_alive]
    if workers:
        raise Refused(
            f"{count(len(workers), 'worker')} of {storage.address} run, the first is {workers[0].id} on"
            f" {workers[0].host}; stop them with 'queuectl worker stop' first"
        )
    open_attempts = storage.transfer.state().open_attempts
    if open_attempts:
        raise Refused(
            f"{count(open_attempts, 'attempt')} of {storage.address} are open though no worker runs; let a worker adopt"
            " them ('queuectl worker --drain'), and then move"
        )


def _resolved(address: str) -> str:
    return address if "://" in address else os.path.realpath(address)


class _Move:
    """One move between two open databases."""

    def __init__(self, source: Storage, target: Storage, skip_missing: bool, progress: MoveProgress) -> None:
        self._source = source
        self._target = target
        self._from = source.transfer
        self._to = target.transfer
        self._skip_missing = skip_missing
        self._progress = progress
        self._parts: dict[str, MovedPart] = {}
        self._files = hashlib.sha256()
        self._file_count = 0
        self._missing: list[int] = []
        self._jobs = sum(source.queues.counts().of(state) for state in State)

    def run(self) -> Moved:
        """Copy, compare, hand over."""
        source, target = self._source, self._target
        state = self._to.state()
        has_moved = self._from.state().moved_to is not None
        if has_moved and state.filled_from is None:
            raise Refused(f"{source.address} was moved to {target.address} already")
        if not has_moved:
            self._check_target()
            if state.filled_from is None:
                self._to.begin(source.address)
        for part in PARTS:
            self._copy(part)
        if self._missing and not self._skip_missing:
            raise Refused(self._missing_words())
        if not has_moved:
            self._from.hand_over(target.address, self._look_once_more)
        self._to.finish()
        files = MovedPart(self._file_count, self._files.hexdigest())
        return Moved(source.address, target.address, self._parts, files, tuple(self._missing))

    def _check_target(self) -> None:
        state = self._to.state()
        if state.moved_to is not None:
            raise Refused(f"{self._target.address} was itself moved to {state.moved_to}; name a new database")
        if state.filled_from is None:
            if state.is_used:
                raise Refused(f"{self._target.address} has, or had, jobs of its own; name a new database")
            _check_idle(self._target)
        elif _resolved(state.filled_from) != _resolved(self._source.address):
            command = move_command(state.filled_from, self._target.address)
            raise Refused(f"{self._target.address} is being filled by {command!r}; finish that, or name a new database")

    def _missing_words(self) -> str:
        shown = " ".join(map(str, self._missing[:10])) + (" …" if len(self._missing) > 10 else "")
        return (
            f"{count(len(self._missing), 'output')} cannot be read whole here, of the attempts {shown}: move on the"
            " host that has their files, or leave them out with --skip-missing-outputs; nothing was handed over"
        )

    # --- rows

    def _copy(self, part: Part) -> None:
        """Make a part of the target equal to that of the source, and read both again; keep number and digest."""
        digest, rows = hashlib.sha256(), 0
        for chunk in self._chunks(part):
            self._make_equal(part, chunk)
            digest.update(chunk.text.encode())
            if part is ATTEMPTS:
                for record in chunk.records:
                    if record[_OUTPUT] is None:
                        self._copy_output(record[_ID], record[_OUTPUT_BYTES])
            rows += len(chunk.records)
            self._progress(part.name, rows, self._jobs if part is JOBS else 0)
        if part is ATTEMPTS:
            sync_directory(self._target.spool.attempts)
        self._parts[part.name] = MovedPart(rows, digest.hexdigest())

    def _chunks(self, part: Part) -> Iterator[_Chunk]:
        """Yield the rows of a part of the source."""
        after: Record | None = None
        while True:
            records = self._from.read(part, after, None, part.chunk)
            until = part.key_of(records[-1]) if len(records) == part.chunk else None
            text = "".join(f"{record!r}\n" for record in records)
            if "\\x00" in text:
                records = [_without_nul(record) for record in records]
                text = "".join(f"{record!r}\n" for record in records)
            yield _Chunk(records, text, after, until)
            if until is None:
                return
            after = until

    def _make_equal(self, part: Part, chunk: _Chunk) -> None:
        """Write what differs in the target, until it gives back what the source has between the keys of the chunk."""
        limit = 2 * part.chunk
        gone: list[Record] | None = None
        while (found := self._to.read(part, chunk.after, chunk.until, limit)) != chunk.records:
            before, gone = gone, sorted({*map(part.key_of, found)} - {*map(part.key_of, chunk.records)})
            # after each write there are others to remove, or none
            if before is not None and (not gone or gone == before):
                raise DatabaseError(
                    f"{self._target.address} does not give back what was written to it ({part.name});"
                    f" {self._source.address} is as it was"
                )
            self._to.write(part, chunk.records, gone)

    def _look_once_more(self) -> None:
        """Compare all rows while no other can write to the source, and copy those that changed meanwhile."""
        _check_idle(self._source)
        for part in PARTS:
            if part is ATTEMPTS:
                self._check_attempts()
            else:
                self._copy(part)
        source, target = self._source, self._target
        totals = source.statistics.totals()
        self._to.derive(totals.enqueued)
        found = target.statistics.totals()
        # an engine may count these by the last number, of which some were never used
        is_equal = found._replace(enqueued=totals.enqueued, attempts_started=totals.attempts_started) == totals
        if not is_equal or found.enqueued < totals.enqueued or source.queues.counts() != target.queues.counts():
            raise DatabaseError(f"{target.address} counts other jobs than {source.address}; nothing was handed over")

    def _check_attempts(self) -> None:
        for chunk in self._chunks(ATTEMPTS_ALONE):
            found = self._to.read(ATTEMPTS_ALONE, chunk.after, chunk.until, 2 * ATTEMPTS_ALONE.chunk)
            if found != chunk.records:
                raise Refused(
                    f"jobs of {self._source.address} ran while they were copied; nothing was handed over: start the"
                    " move again, which copies what is new"
                )

    # --- outputs in files

    def _copy_output(self, attempt_id: int, length: int | None) -> None:
        """Copy the file of an attempt's output, if it has one, and have the target share it with other hosts."""
        read = self._reader_of(attempt_id, length)
        if read is None:
            if length:
                self._missing.append(attempt_id)
            return
        spool = self._target.spool
        wanted = _digest_of(_blocks(read))

        def written() -> tuple[int, str]:
            return _digest_of(_blocks(lambda at: read_part(spool, attempt_id, at, _BLOCK)))

        if written() != wanted:
            _write_file(spool.output_file(attempt_id), _blocks(read))
            if written() != wanted:
                raise DatabaseError(f"{spool.output_file(attempt_id)} does not give back what was written to it")
        self._files.update(f"{attempt_id} {wanted}\n".encode())
        self._file_count += 1
        if self._target.outputs.shared is not None:
            limit = Settings(self._target.settings.stored()).output_shared_bytes
            parts = list(shared_parts(self._target.spool, attempt_id, limit))
            self._target.outputs.shared.replace(attempt_id, parts)

    def _reader_of(self, attempt_id: int, length: int | None) -> Callable[[int], bytes] | None:
        """Return what reads a block of an output at an offset: of this host's file, or the database if it has all."""
        source = self._source
        if os.path.isfile(source.spool.output_file(attempt_id)):
            return lambda at: read_part(source.spool, attempt_id, at, _BLOCK)
        shared = source.outputs.shared
        if shared is None or not length or shared.shared(attempt_id).spans != ((0, length),):
            return None
        return lambda at: shared.read(attempt_id, at, _BLOCK)


def _without_nul(record: Record) -> Record:
    """Return a row without the NUL characters that a file can hold in a text, and a server cannot."""
    return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in record)


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    at = 0
    while data := read(at):
        yield data
        at += len(data)


def _write_file(path: str, blocks: Iterator[bytes]) -> None:
    """Write a private file, whole or not at all, and on the disk."""
    partial = f"{path}.moving"
    with open(create_private(partial, os.O_WRONLY | os.O_TRUNC, is_new=False), "wb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _digest_of(blocks: Iterator[bytes]) -> tuple[int, str]:
    """Return how many bytes there are, and their SHA-256."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()
