"""An attempt's output: read, also while it grows, from its file or the database; its file collected and cut."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from core.errors import OutputUnavailable
from core.model import Attempt
from core.spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.storage.contract import Storage
    from core.storage.host_contract import SharedOutputs

#: Output up to this many bytes moves into the attempt's row when it ends; longer output stays in its file.
INLINE_BYTES = 64 * 1024
_BLOCK = 64 * 1024
#: The most of one output that is copied at once for other hosts, in bytes; also the size of a stored part.
PART_BYTES = 256 * 1024
#: How much of the end of a long output is kept for other hosts, in bytes.
TAIL_BYTES = 1 << 20


class Output:
    """The bytes that an attempt wrote to stdout and stderr, in the order they were written."""

    def __init__(self, storage: Storage, attempt: Attempt) -> None:
        self._storage = storage
        self.attempt = attempt
        self._stored: bytes | None = None
        self._shared: _Shared | None = None

    @property
    def path(self) -> str | None:
        """Return the file that holds the output, or ``None`` when it is kept in the database."""
        if self._is_settled():
            return None
        path = self._storage.spool.output_file(self.attempt.id)
        if os.path.exists(path):
            return path
        self._load()
        return None

    def size(self) -> int:
        """Return the number of bytes so far; raise ``OutputUnavailable`` if the output is gone or another user's."""
        if not self._is_settled():
            try:
                return os.stat(self._storage.spool.output_file(self.attempt.id)).st_size
            except FileNotFoundError:
                self._load()
            except PermissionError as error:
                raise self._closed(error) from error
        return len(self._stored or b"") if self._shared is None else self._shared.size()

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``, fewer at the end, none beyond it; errors as ``size``."""
        if not self._is_settled():
            try:
                descriptor = os.open(
                    self._storage.spool.output_file(self.attempt.id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                )
            except FileNotFoundError:
                self._load()
            except PermissionError as error:
                raise self._closed(error) from error
            else:
                try:
                    return os.pread(descriptor, length, offset)
                finally:
                    os.close(descriptor)
        if self._shared is not None:
            return self._shared.read(offset, length)
        return (self._stored or b"")[offset : offset + length]

    def _is_settled(self) -> bool:
        """Return whether it was found where it stays: while the attempt runs it may come to be here, or in its row."""
        return self._stored is not None or (self._shared is not None and self._shared.is_ended)

    def lines(self, last: int) -> bytes:
        """Return the last ``last`` lines with their line ends, read from the end in blocks; errors as ``size``."""
        end = self.size()
        if last <= 0 or end == 0:
            return b""
        start, found = end, b""
        while start > 0:
            step = min(_BLOCK, start)
            start -= step
            found = self.read(start, step) + found
            # one line end more than lines: the last line may or may not have its own
            if found.count(b"\n") > last:
                break
        lines = found.splitlines(keepends=True) if b"\r" not in found else _split(found)
        return b"".join(lines[-last:])

    def _closed(self, error: PermissionError) -> OutputUnavailable:
        return OutputUnavailable(f"{error.filename}: permission denied; the output belongs to another user")

    def _load(self) -> None:
        """Read the output from the database, into which the file moved when the attempt was recorded."""
        is_ended, data = self._storage.outputs.stored(self.attempt.id)
        kept, self._shared = self._storage.outputs.shared, None
        if data is None and kept is not None:
            shared = _Shared(kept, self.attempt.id, is_ended=is_ended)
            if shared.is_anything():
                self._shared = shared
                return
        if is_ended and data is None:
            raise OutputUnavailable(
                f"the output of attempt {self.attempt.number} is gone: longer than 64 KiB it is kept in a file,"
                f" {self._storage.spool.output_file(self.attempt.id)}, and that is not there"
                " (a backup has none of them)"
            )
        if is_ended:  # an attempt that was just claimed has no file yet, and will have one
            self._stored = data


class _Shared:
    """An output whose file is on another host: what the server keeps of it, with a line in place of each gap.

    Offsets count these lines, too. While the attempt runs it only grows at its end.
    """

    def __init__(self, outputs: SharedOutputs, attempt_id: int, *, is_ended: bool) -> None:
        self._outputs = outputs
        self._attempt_id = attempt_id
        self.is_ended = is_ended
        self._parts: list[tuple[int, int] | bytes] = []
        self._look()

    def is_anything(self) -> bool:
        """Return whether the server keeps some of it, or it may come to."""
        return bool(self._parts) or not self.is_ended

    def _look(self) -> None:
        shared = self._outputs.shared(self._attempt_id)
        self._parts, end = [], 0
        for start, stop in shared.spans:
            if start > end:
                self._parts.append(f"\n[{start - end:,} bytes are only on host {shared.host}]\n".encode())
            self._parts.append((start, stop))
            end = stop

    def size(self) -> int:
        """Return the number of bytes so far, the lines for what is left out included."""
        if self.is_ended:
            self._look()  # its end follows within a second or so
        return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in self._parts)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``."""
        found, at = b"", 0
        for part in self._parts:
            size = len(part) if isinstance(part, bytes) else part[1] - part[0]
            skip = max(0, offset + len(found) - at)
            wanted = min(size - skip, length - len(found))
            if wanted > 0:
                if isinstance(part, bytes):
                    found += part[skip : skip + wanted]
                else:
                    found += self._outputs.read(self._attempt_id, part[0] + skip, wanted)
            at += size
        return found


def _split(data: bytes) -> list[bytes]:
    """Return the lines of ``data``, split after line feeds only; a carriage return is part of its line."""
    parts = [part + b"\n" for part in data.split(b"\n")]
    last = parts.pop()[:-1]
    return [*parts, last] if last else parts


def collect(spool: Spool, attempt_id: int) -> tuple[bytes | None, int]:
    """Return an ended attempt's output, ``None`` if it has more than ``INLINE_BYTES``, and its size in bytes."""
    path = spool.output_file(attempt_id)
    try:
        status = os.stat(path, follow_symlinks=False)
        size = status.st_size
        if size == 0 or stat.S_ISLNK(status.st_mode):
            return b"", 0  # a link is not the file that the command was given
        if size > INLINE_BYTES:
            return None, size
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", 0
    try:
        data = os.read(descriptor, INLINE_BYTES + 1)
    finally:
        os.close(descriptor)
    # a child that the command left running may have written meanwhile
    return (data, len(data)) if len(data) <= INLINE_BYTES else (None, os.stat(path).st_size)


def cut(spool: Spool, attempt_id: int, limit: int) -> bool:
    """Shorten an ended attempt's output to ``limit`` bytes; return whether it was longer."""
    try:
        path = spool.output_file(attempt_id)
        if os.stat(path, follow_symlinks=False).st_size <= limit:
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, limit)
        finally:
            os.close(descriptor)
    except OSError:
        return False  # what cannot be shortened is kept whole
    return True


def read_tail(spool: Spool, attempt_id: int, length: int) -> bytes:
    """Return the last ``length`` bytes of an attempt's output file; fewer if it is shorter, none without a file."""
    try:
        descriptor = os.open(spool.output_file(attempt_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, length, max(0, os.fstat(descriptor).st_size - length))
    finally:
        os.close(descriptor)


def shared_parts(spool: Spool, attempt_id: int, limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a long output, offset and bytes, that other hosts are to read: up to a limit, and the end."""
    try:
        size = os.stat(spool.output_file(attempt_id)).st_size
    except OSError:
        return
    head = min(size, limit)
    for start, stop in ((0, head), (max(head, size - TAIL_BYTES), size)):
        for at in range(start, stop, PART_BYTES):
            data = read_part(spool, attempt_id, at, min(PART_BYTES, stop - at))
            if data:
                yield at, data


def read_part(spool: Spool, attempt_id: int, at: int, length: int) -> bytes:
    """Return up to ``length`` bytes of an attempt's output file from an offset; none without a file."""
    if length <= 0:
        return b""
    try:
        descriptor = os.open(spool.output_file(attempt_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, length, at)
    finally:
        os.close(descriptor)


def text_of(data: bytes) -> str:
    """Return output as text; bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", "replace")
