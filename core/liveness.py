"""Who is alive, told by locks that the kernel drops when a process dies; no clocks, no leases, no pids to trust.

Every lock here is an exclusive ``flock``. It belongs to the open file, not to the process: it lives on in every process
that inherited the descriptor, and two descriptors of one process exclude each other.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading

from core.errors import DatabaseBusy, DatabaseError


def make_private_directory(path: str) -> None:
    """Create a directory 0700 whatever the umask; refuse a symlink or anything else in its place."""
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise DatabaseError(f"{path} is not a directory; move it away") from None


def create_private(path: str, flags: int, *, is_new: bool) -> int:
    """Open (and create) a file 0600 whatever the umask, never through a symlink; return its descriptor."""
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_EXCL if is_new else 0)
    descriptor = os.open(path, flags, 0o600)
    if is_new:
        os.fchmod(descriptor, 0o600)
    return descriptor


def create_afresh(path: str, flags: int) -> int:
    """Create a file 0600; one that is in its place is known to be nobody's (its owner died) and is removed."""
    try:
        return create_private(path, flags, is_new=True)
    except FileExistsError:
        os.unlink(path)
        return create_private(path, flags, is_new=True)


def create_locked(path: str) -> int:
    """Create a file afresh and hold its lock; return the read-only descriptor that carries the lock."""
    descriptor = create_afresh(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def is_locked(path: str) -> bool:
    """Tell whether some process holds the file's lock; a file that is gone is not locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # shared, so that two who look at the same time do not take each other for the owner
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder_pid(path: str) -> int | None:
    """Return the pid that took the file's lock, where the system tells (Linux), else ``None``."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii") as locks:
            for line in locks:
                fields = line.split()
                if "FLOCK" in fields and "->" not in fields and fields[5].rsplit(":", 1)[1] == str(inode):
                    return int(fields[4])
    except (OSError, ValueError, IndexError):
        pass
    return None


class WriteLock:
    """The turn of one writer: who holds it may write to the database. One object serves one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, timeout_s: float) -> None:
        """Wait for the turn, first come first served; raise ``DatabaseBusy`` after ``timeout_s`` seconds."""
        self._reopen_if_gone()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(timeout_s)

    def release(self) -> None:
        """Give the turn to the next in line."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let the file go, and with it the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _reopen_if_gone(self) -> None:
        if self._descriptor >= 0:
            try:
                if os.stat(self._path).st_ino == os.fstat(self._descriptor).st_ino:
                    return
            except FileNotFoundError:
                pass
            self.close()
        self._descriptor = create_private(self._path, os.O_RDWR, is_new=False)

    def _wait(self, timeout_s: float) -> None:
        # Polling would be unfair, and flock has no timeout: a thread waits in the kernel's queue on a descriptor of its
        # own, which is either handed over or, when it comes too late, closed.
        descriptor = create_private(self._path, os.O_RDWR, is_new=False)
        guard = threading.Lock()
        got_it = threading.Event()
        is_abandoned = False

        def wait_in_line() -> None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                return
            with guard:
                if is_abandoned:
                    os.close(descriptor)
                else:
                    got_it.set()

        threading.Thread(target=wait_in_line, name="queuectl-write-lock", daemon=True).start()
        try:
            got_it.wait(timeout_s)
        finally:  # also when an exception ends the wait: a late lock must not stay with nobody
            with guard:
                is_abandoned = not got_it.is_set()
        if is_abandoned:
            pid = holder_pid(self._path)
            who = f"process {pid}" if pid else "another process"
            raise DatabaseBusy(
                f"{who} has held the write lock for more than {timeout_s:g} s; nothing was changed, try again"
                + (f" (is it stopped? see 'ps -o stat= -p {pid}')" if pid else "")
            )
        self.close()
        self._descriptor = descriptor
