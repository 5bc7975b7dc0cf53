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

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Call:
    """One traced system call that came back without an error; ``at_s`` is when it began."""

    at_s: float
    name: str
    arguments: tuple[str | bytes, ...]
    result: int


_LINE = re.compile(r"(\d+\.\d+) (\w+)\((.*)\)\s+= (\d+)(?: .*)?$")
_ARGUMENT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?|([^",]+)')


def read_trace(path: str) -> Iterator[Call]:
    """Yield the calls in a file that ``strace -ttt -xx`` wrote."""
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            found = _LINE.match(line)
            if found is None:
                continue
            at_s, name, text, result = found.groups()
            arguments: list[str | bytes] = []
            for quoted, cut, plain in _ARGUMENT.findall(text):
                if cut:
                    raise ValueError(f"strace cut a string short: {line[:80]}")
                if quoted:
                    arguments.append(bytes.fromhex(quoted.replace("\\x", "")))
                elif plain.strip():
                    arguments.append(plain.strip())
            yield Call(float(at_s), name, tuple(arguments), int(result))


@dataclass(slots=True)
class _Change:
    """A write at an offset, or with ``data`` None a new length."""

    offset: int
    data: bytes | None


@dataclass(slots=True)
class _File:
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
    """The files below one directory, by their names there."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._descriptors: dict[int, tuple[str, _File | None]] = {}
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._pending_names: list[tuple[str, _File | None]] = []

    def replay(self, call: Call) -> bool:
        """Do what a call did; return whether it changed a file or synced one."""
        step = getattr(self, f"_do_{call.name}", None)
        return bool(step is not None and step(call))

    def written_to(self, call: Call, name: str) -> bytes | None:
        """Return what a call wrote to the file of a name, if it did."""
        if call.name != "write":
            return None
        path, _ = self._descriptors.get(_number(call, 0), ("", None))
        data = call.arguments[1]
        return data if path == name and isinstance(data, bytes) else None

    # --- calls

    def _do_openat(self, call: Call) -> bool:
        path = call.arguments[1]
        name = self._name(path)
        self._descriptors.pop(call.result, None)
        if name is None:
            return False
        flags = str(call.arguments[2])
        if "O_CREAT" not in flags and name not in self._names:
            self._descriptors[call.result] = (name, None)  # a directory, or a file from before
            return False
        is_new = name not in self._names
        if is_new:
            self._names[name] = _File()
            self._pending_names.append((name, self._names[name]))
        self._descriptors[call.result] = (name, self._names[name])
        return is_new

    def _do_close(self, call: Call) -> bool:
        self._descriptors.pop(_number(call, 0), None)
        return False

    def _do_pwrite64(self, call: Call) -> bool:
        data = call.arguments[1]
        return isinstance(data, bytes) and self._write(call, data[: call.result], _number(call, 3))

    def _do_write(self, call: Call) -> bool:
        data = call.arguments[1]
        _, file = self._descriptors.get(_number(call, 0), ("", None))
        return file is not None and isinstance(data, bytes) and self._write(call, data[: call.result], file.length)

    def _write(self, call: Call, data: bytes, offset: int) -> bool:
        _, file = self._descriptors.get(_number(call, 0), ("", None))
        if file is None:
            return False
        file.pending.append(_Change(offset, data))
        file.length = max(file.length, offset + len(data))
        return True

    def _do_ftruncate(self, call: Call) -> bool:
        _, file = self._descriptors.get(_number(call, 0), ("", None))
        if file is None:
            return False
        file.length = _number(call, 1)
        file.pending.append(_Change(file.length, None))
        return True

    def _do_fsync(self, call: Call) -> bool:
        name, file = self._descriptors.get(_number(call, 0), ("", None))
        if file is not None:
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
        return bool(name)

    _do_fdatasync = _do_fsync

    def _do_unlink(self, call: Call) -> bool:
        name = self._name(call.arguments[0])
        if name is None or self._names.pop(name, None) is None:
            return False
        self._pending_names.append((name, None))
        return True

    def _do_rename(self, call: Call) -> bool:
        source, target = self._name(call.arguments[0]), self._name(call.arguments[1])
        if source is None or target is None:
            return False
        self._names[target] = self._names.pop(source)
        self._pending_names += [(target, self._names[target]), (source, None)]
        return True

    def _name(self, path: str | bytes) -> str | None:
        text = os.fsdecode(path)
        if text == self._directory:
            return "."
        relative = os.path.relpath(text, self._directory) if text.startswith(self._directory + "/") else None
        return None if relative is None else os.path.join(".", relative)

    # --- what may be left

    def after_a_power_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return one of the states that a power cut at this moment may leave: name -> content."""
        kind = chance.randrange(5)
        names = dict(self._durable_names)
        for changed, target in self._pending_names:
            if kind == 1 or (kind > 1 and chance.random() < 0.7):
                _rename(names, changed, target)
        share = chance.choice((0.2, 0.5, 0.9))
        return {name: bytes(_left_of(file, kind, share, chance)) for name, file in names.items()}


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
