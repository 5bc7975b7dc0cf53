"""Private files, and locks that say who is alive: the kernel drops them when a process dies. No clocks, leases or pids.

Every lock here is an exclusive ``flock``. It belongs to the open file, not to the process: it lives on in every process
that inherited the descriptor, and two descriptors of one process exclude each other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from enum import Enum

from core.errors import DatabaseBusy, DatabaseError


def make_private_directory(path: str, *, owner: tuple[int, int]) -> None:
    """Create a directory 0700 whatever the umask; raise ``DatabaseError`` for another user's, or what is no directory.

    A symlink counts as none. The directory's name is synced: what is synced inside would be lost with it in a power
    cut. ``owner`` is the user and group of the database; root makes the directory theirs.
    """
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
        _give(path, owner)
        sync_directory(os.path.dirname(path))
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise DatabaseError(f"{path} is not a directory; move it away") from None
        if status.st_uid not in (os.geteuid(), 0, owner[0]):
            raise DatabaseError(f"{path} belongs to user {status.st_uid}; move it away") from None
        if status.st_mode & 0o077 and os.geteuid() in (status.st_uid, 0):
            os.chmod(path, 0o700)


def make_private_directories(path: str) -> None:
    """Create a directory and what is missing above it, each 0700 and synced with the directory that holds its name."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_private_directories(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
        give_to_owner_of_directory(path)
    sync_directory(path)
    sync_directory(parent)


def sync_directory(path: str) -> None:
    """Sync a directory, so that new names in it survive a power cut; do nothing where none can be synced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def create_private(path: str, flags: int, *, is_new: bool) -> int:
    """Open (and create) a file 0600 whatever the umask, never through a symlink; return its descriptor.

    Root gives it to the owner of its directory, who could not go on with it otherwise.
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_EXCL if is_new else 0)
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if stat.S_IMODE(status.st_mode) != 0o600 and status.st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
    if status.st_uid == 0:
        give_to_owner_of_directory(path)
    return descriptor


def give_to_owner_of_directory(path: str) -> None:
    """Make a new file of root's the property of its directory's owner."""
    if os.geteuid() == 0:
        directory = os.stat(os.path.dirname(path))
        _give(path, (directory.st_uid, directory.st_gid))


def _give(path: str, owner: tuple[int, int]) -> None:
    if os.geteuid() == 0 and owner[0] != 0:
        with contextlib.suppress(OSError):  # a file system that knows no owners, or no root
            os.chown(path, *owner, follow_symlinks=False)


def create_afresh(path: str, flags: int) -> int:
    """Create a file 0600 and return its descriptor; remove one in its place, whose owner is known to be dead."""
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


class Lock(Enum):
    """The state of a lock file: its owner lives (``HELD``), is dead (``FREE``), or the file says nothing (``GONE``)."""

    HELD = "held"
    FREE = "free"
    GONE = "gone"


def look_at(path: str) -> tuple[Lock, str]:
    """Return the state of a file's lock, and ``file_name`` of the file (empty when it is gone or may not be read).

    A file that may not be read counts as held: nothing of another user's is ever taken for dead.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return Lock.GONE, ""
    except PermissionError:
        return Lock.HELD, ""
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Lock.FREE, ""  # a symlink: no lock of ours
        raise
    try:
        # shared, so that two who look at the same time do not take each other for the owner
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.HELD, file_name(descriptor, path)
    else:
        return Lock.FREE, file_name(descriptor, path)
    finally:
        os.close(descriptor)


def is_locked(path: str) -> bool:
    """Return whether some process holds the file's lock. A missing file is not locked, which proves nothing."""
    return look_at(path)[0] is Lock.HELD


def file_name(descriptor: int, path: str) -> str:
    """Return what identifies a file among its copies: ``DEVICE INODE PATH``, the first two as decimal numbers."""
    status = os.fstat(descriptor)
    return f"{status.st_dev} {status.st_ino} {path}".encode("utf-8", "backslashreplace").decode()


def is_same_file(one: str, other: str) -> bool:
    """Return whether two ``file_name`` are of one file: at another path, or on a device that got another number."""
    device, inode, path = one.split(" ", 2)
    other_device, other_inode, other_path = other.split(" ", 2)
    return inode == other_inode and (device == other_device or path == other_path)


def holder_pid(path: str) -> int | None:
    """Return the pid that locked the file, ``None`` if none did or the system does not say it (other than Linux)."""
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


class _PlaceInLine:
    """A wait in the kernel's queue for a lock, with a time-out: a thread waits on a descriptor of its own.

    Polling would be unfair, and flock has no timeout. A lock that comes after the wait was given up is let go.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = create_private(path, os.O_RDWR, is_new=False)
        self._guard = threading.Lock()
        self._got_it = threading.Event()
        self._is_wanted = True
        self._is_over = False
        threading.Thread(target=self._wait_in_line, name="queuectl-write-lock", daemon=True).start()

    def _wait_in_line(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._guard:
            if self._is_wanted:
                self._got_it.set()
            else:
                with contextlib.suppress(OSError):  # let go first: a process that was forked off may have it, too
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                os.close(self._descriptor)
                self._is_over = True

    def close_inherited(self) -> None:
        """Close, in a forked child, the descriptor that the parent's thread waits on; the lock stays the parent's."""
        if not self._is_over:
            os.close(self._descriptor)

    def take_up(self) -> bool:
        """Want the lock again after a wait that timed out; return whether the place in line still stands."""
        with self._guard:
            self._is_wanted = not self._is_over
            return self._is_wanted

    def wait(self, timeout_s: float) -> int | None:
        """Return the descriptor that holds the lock, or ``None`` after ``timeout_s`` seconds."""
        try:
            self._got_it.wait(timeout_s)
        finally:  # also when an exception ends the wait: a late lock would stay locked for ever
            with self._guard:
                self._is_wanted = self._got_it.is_set()
        return self._descriptor if self._is_wanted else None


class WriteLock:
    """The lock that the one writer of a database holds. One object serves one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._inode = 0
        self._place: _PlaceInLine | None = None

    def acquire(self, timeout_s: float) -> None:
        """Wait for the lock, first come first served; raise ``DatabaseBusy`` after ``timeout_s`` seconds."""
        self._reopen_if_gone()
        if self._place is None or not self._place.take_up():
            self._place = None
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._place = _PlaceInLine(self._path)
        if self._place is not None:
            self._wait(self._place, timeout_s)

    def __enter__(self) -> None:
        """Enter a ``with`` block that releases the lock, which was acquired before."""

    def __exit__(self, *failure: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock to the next in line. Never fails: what was written under it is committed by now."""
        if self._descriptor >= 0:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError:
                self.close()

    def close(self) -> None:
        """Close the file, and release the lock with it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close_inherited(self) -> None:
        """Close, in a forked child, the parent's descriptors; the lock stays the parent's."""
        self.close()
        if self._place is not None:
            self._place.close_inherited()
            self._place = None

    def _reopen_if_gone(self) -> None:
        if self._descriptor >= 0:
            try:
                if os.stat(self._path).st_ino == self._inode:
                    return
            except FileNotFoundError:
                pass
            self.close()
            self._place = None
        self._hold(create_private(self._path, os.O_RDWR, is_new=False))

    def _hold(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inode = os.fstat(descriptor).st_ino

    def _wait(self, place: _PlaceInLine, timeout_s: float) -> None:
        descriptor = place.wait(timeout_s)
        if descriptor is None:
            pid = holder_pid(self._path)
            who = f"process {pid}" if pid else "another process"
            raise DatabaseBusy(
                f"{who} has held the write lock for more than {timeout_s:g} s; nothing was changed, try again"
                + (f" (is it stopped? see 'ps -o stat= -p {pid}')" if pid else "")
            )
        self._place = None
        self.close()
        self._hold(descriptor)
