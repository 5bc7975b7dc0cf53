"""A pretended disk: replays traced system calls and tells what a power cut may leave of the files.

Rules: what ``fsync`` or ``fdatasync`` returned for survives; anything written since may survive whole, in part (cut at
a sector of 512 bytes), or not at all, in any order. A name that was made or removed survives once its directory was
synced.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_SECTOR = 512


class Opened(NamedTuple):
    """A descriptor as ``strace -y`` shows it: the path of its file, and whether that has no name any more."""

    path: str
    is_deleted: bool


Argument = str | bytes | Opened


@dataclass(frozen=True, slots=True)
class Call:
    """One traced system call that came back without an error, in the order of returns; ``at_s`` is when it began."""

    at_s: float
    name: str
    arguments: tuple[Argument, ...]
    result: int


_LINE = re.compile(r"(\d+) +(\d+\.\d+) (?:(\w+)\((.*)|<\.\.\. \w+ resumed>(.*))$")
_RESULT = re.compile(r"(.*)\)\s+= (\d+)(?:[< ].*)?$")
_UNFINISHED = " <unfinished ...>"
_TEXT = r"((?:\\x[0-9a-f]{2})*)"
_ARGUMENT = re.compile(rf'"{_TEXT}"(\.\.\.)?|\w+<{_TEXT}>(\(deleted\))?|([^",<]+)')


def read_trace(path: str) -> Iterator[Call]:
    """Yield the calls in a file that ``strace -f -y -ttt -xx`` wrote."""
    begun: dict[str, tuple[str, str, str]] = {}
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            found = _LINE.match(line)
            if found is None:
                continue
            process, at_s, name, text, rest = found.groups()
            if name is not None and text.endswith(_UNFINISHED):
                begun[process] = (at_s, name, text.removesuffix(_UNFINISHED))
                continue
            if name is None:
                if process not in begun:
                    continue
                at_s, name, text = begun.pop(process)
                text += rest
            ended = _RESULT.match(text)
            if ended is not None:
                yield Call(float(at_s), name, tuple(_arguments(ended[1])), int(ended[2]))


def _arguments(text: str) -> Iterator[Argument]:
    for quoted, cut, opened, deleted, plain in _ARGUMENT.findall(text):
        if cut:
            raise ValueError(f"strace cut a string short: {text[:80]}")
        if opened:
            yield Opened(os.fsdecode(_bytes_of(opened)), bool(deleted))
        elif quoted:
            yield _bytes_of(quoted)
        elif plain.strip():
            yield plain.strip()


def _bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(slots=True)
class _Change:
    """A write at an offset, or with ``data`` None a new length."""

    offset: int
    data: bytes | None


@dataclass(slots=True)
class _File:
    is_directory: bool = False
    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list)
    length: int = 0


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data


class Disk:
    """The files and directories below one directory, by their names there."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._pending_names: list[tuple[str, _File | None]] = []

    def replay(self, call: Call) -> bool:
        """Do what a call did; return whether it changed a file or synced one."""
        step = getattr(self, f"_do_{call.name}", None)
        return bool(step is not None and step(call))

    def written_to(self, call: Call, name: str) -> bytes | None:
        """Return what a call wrote to the file of a name, if it did."""
        if call.name != "write" or self._name(call.arguments[0]) != name:
            return None
        data = call.arguments[1]
        return data if isinstance(data, bytes) else None

    # --- calls

    def _do_openat(self, call: Call) -> bool:
        name = self._name(call.arguments[1])
        if name is None or name in self._names or "O_CREAT" not in str(call.arguments[2]):
            return False
        self._make(name, _File())
        return True

    def _do_mkdir(self, call: Call) -> bool:
        name = self._name(call.arguments[0])
        if name is None:
            return False
        self._make(name, _File(is_directory=True))
        return True

    def _make(self, name: str, file: _File) -> None:
        self._names[name] = file
        self._pending_names.append((name, file))

    def _do_pwrite64(self, call: Call) -> bool:
        return self._write(call, _number(call, 3))

    def _do_write(self, call: Call) -> bool:
        return self._write(call, None)

    def _write(self, call: Call, offset: int | None) -> bool:
        file, data = self._file(call), call.arguments[1]
        if file is None or not isinstance(data, bytes):
            return False
        offset = file.length if offset is None else offset  # all files that are not the database's are appended to
        file.pending.append(_Change(offset, data[: call.result]))
        file.length = max(file.length, offset + call.result)
        return True

    def _do_ftruncate(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        file.length = _number(call, 1)
        file.pending.append(_Change(file.length, None))
        return True

    def _do_fsync(self, call: Call) -> bool:
        name = self._name(call.arguments[0])
        if name is None:
            return False
        file = self._names.get(name)
        if file is not None and not file.is_directory:
            for change in file.pending:
                _apply(file.durable, change)
            file.pending.clear()
            return True
        rest = []
        for changed, target in self._pending_names:
            if os.path.dirname(changed) == name:
                _rename(self._durable_names, changed, target)
            else:
                rest.append((changed, target))
        self._pending_names = rest
        return True

    _do_fdatasync = _do_fsync

    def _do_unlink(self, call: Call) -> bool:
        name = self._name(call.arguments[0])
        if name is None or self._names.pop(name, None) is None:
            return False
        self._pending_names.append((name, None))
        return True

    _do_rmdir = _do_unlink

    def _do_rename(self, call: Call) -> bool:
        source, target = self._name(call.arguments[0]), self._name(call.arguments[1])
        if source is None or target is None:
            return False
        self._names[target] = self._names.pop(source)
        self._pending_names += [(target, self._names[target]), (source, None)]
        return True

    def _file(self, call: Call) -> _File | None:
        name = self._name(call.arguments[0])
        return None if name is None else self._names.get(name)

    def _name(self, path: Argument) -> str | None:
        """Return the name of a file below the directory, "." for that itself; ``None`` for any other file."""
        if isinstance(path, Opened):
            if path.is_deleted:
                return None
            path = path.path
        text = os.fsdecode(path)
        if text == self._directory:
            return "."
        relative = os.path.relpath(text, self._directory) if text.startswith(self._directory + "/") else None
        return None if relative is None else os.path.join(".", relative)

    # --- what may be left

    def after_a_power_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return one of the states that a power cut at this moment may leave: name -> content, of files alone.

        A file is there if its name is, and those of all directories that it stands in.
        """
        kind = chance.randrange(5)
        names = dict(self._durable_names)
        for changed, target in self._pending_names:
            if kind == 1 or (kind > 1 and chance.random() < 0.7):
                _rename(names, changed, target)
        share = chance.choice((0.2, 0.5, 0.9))
        return {
            name: bytes(_left_of(file, kind, share, chance))
            for name, file in names.items()
            if not file.is_directory and all(above in names for above in _directories_of(name))
        }


def _directories_of(name: str) -> Iterator[str]:
    while (name := os.path.dirname(name)) not in (".", ""):
        yield name


def _left_of(file: _File, kind: int, share: float, chance: random.Random) -> bytearray:
    """Return a file's content: 0 what was synced, 1 all, 2 a beginning of the rest, 3 some of it, 4 some of it torn."""
    content = bytearray(file.durable)
    pending = file.pending
    if kind == 0:
        return content
    if kind == 2:
        pending = pending[: chance.randint(0, len(pending))]
    for change in pending:
        if kind in (3, 4) and chance.random() > share:
            continue
        if kind == 4 and change.data is not None and len(change.data) > _SECTOR and chance.random() < 0.3:
            cut = chance.randrange(0, len(change.data), _SECTOR)
            change = _Change(change.offset, change.data[:cut])
        _apply(content, change)
    return content


def _rename(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _number(call: Call, place: int) -> int:
    value = call.arguments[place]
    return int(value) if isinstance(value, str) else -1
