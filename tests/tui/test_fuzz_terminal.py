"""Random bytes into the real program in a real terminal, while jobs run: it can be left, and gives all back."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from core.model import NewJob
from core.queue import Queue
from queuectl_tui.keymap import ACTIONS
from tests.torture.fleet import processes_of
from tests.tui.pty_program import PtyProgram
from tests.tui.test_fuzz import SIZES, Size
from tests.tui.test_terminal import until

pytestmark = pytest.mark.long

#: ``make fuzz`` sends 500 with each of 20 seeds at each size; the tests send less.
SEEDS = int(os.environ.get("QUEUECTL_FUZZ_SEEDS", "1"))
KEYS = int(os.environ.get("QUEUECTL_FUZZ_KEYS", "100"))
#: What terminals send: keys in several protocols, the mouse, focus, pastes, sizes, answers; and what line noise adds.
SEQUENCES = (
    *(b"\x1b[" + last for last in (b"A", b"B", b"C", b"D", b"H", b"F", b"Z", b"5~", b"6~", b"3~", b"15~", b"1;5C")),
    *(b"\x1bO" + last for last in (b"A", b"B", b"P", b"Q")),
    *(b"\x1b" + last for last in (b"a", b"q", b"\x1b", b"\r", b"[", b"")),
    *(b"\x1b[97;5u", b"\x1b[57399u", b"\x1b[27u", b"\x1b[13;2u", b"\x1b[113;5:3u", b"\x1b[55296u"),
    *(b"\x1b[<0;%d;%dM\x1b[<0;%d;%dm" % (x, y, x, y) for x, y in ((1, 1), (10, 5), (40, 12), (70, 20), (9999, 9999))),
    *(b"\x1b[<35;%d;%dM" % (x, y) for x, y in ((5, 5), (50, 15), (0, 0))),
    *(b"\x1b[<64;10;8M", b"\x1b[<65;30;16M", b"\x1b[<32;20;10M", b"\x1b[M !!"),
    *(b"\x1b[I", b"\x1b[O", b"\x1b[200~echo one\necho two\x1b[201~", b"\x1b[200~\x1b[201~", b"\x1b[200~half"),
    *(b"\x1b[?2026;2$y", b"\x1b[?2048;0$y", b"\x1b[48;24;80;480;800t", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
    *(b"\x1bP>|term\x1b\\", b"\x1b[?62;4c", b"\x1b[12;40R"),
    *("é字👩‍👩‍👧\u0301".encode(), b"\xff\xfe", b"\xc3", b"\x00", b"\x7f", b"\x08", b"\x9b"),
)
#: Keys of the dashboard that are one byte, and text for its forms.
_TYPED = sorted({key for action in ACTIONS for key in action.keys if len(key) == 1} | set("abcx179 \r\t"))
_CONTROLS = [
    bytes([ord(key[-1]) & 0x1F])
    for action in ACTIONS
    for key in action.keys
    if key.startswith("ctrl+") and key != "ctrl+z"
]
POOL = [*(key.encode() for key in _TYPED), *_CONTROLS, *SEQUENCES]
_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")
_DRAWING = re.compile(rb"\x1b(?:\[[0-9;?<=>$]*[A-Za-z]|\][^\x07]*\x07)")
_TO_LEAVE = (b"\x1b[201~", b"\x1b\\", b"\x1b", b"\x11", b"s")


def _start(directory: Path, size: Size) -> PtyProgram:
    """Start the dashboard with two slots in a directory, where what it saves may go.

    The terminal shows nothing by itself, so that all that comes is the program's.
    """
    program = [sys.executable, "-m", "queuectl_tui", "-c", "2"]
    env = {
        "QUEUECTL_DB": str(directory / "queue.db"),  # the mark of its processes, too
        "XDG_CONFIG_HOME": str(directory / "config"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PAGER": "true",
        "PYTHONFAULTHANDLER": "1",
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
    }
    columns, rows = size
    command = ["/bin/sh", "-c", 'stty -echo; cd "$1"; shift; exec "$@"', "sh", str(directory), *program]
    return PtyProgram(command, columns=columns, rows=rows, env=env)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_bytes_in_bursts_spoil_nothing(seed: int, size: Size, tmp_path: Path) -> None:
    """Exit status 0, no traceback, the terminal as it was, and no process left; after a key that quits it goes on."""
    dice = random.Random(f"{seed} {size}")
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue_many(
            NewJob(command, cwd=str(tmp_path), max_attempts=1)  # what is typed into a command may write there
            for command in dice.choices(("echo a", "exit 3", "sleep 0.1", "sleep 1"), k=60)
        )
    left = KEYS
    while left > 0:
        with _start(tmp_path, size) as program:
            program.wait_for(b"Pending")
            left = _play(program, dice, left)
            _leave(program)
            _check_screen(bytes(program.output))
            # the others: a Ctrl+C that was sent behind the key that quits
            assert program.exit_code in (0, 130, -signal.SIGINT)
            assert termios.tcgetattr(program.descriptor) == _quiet_modes()
    if sys.platform == "linux":
        until(lambda: not processes_of(str(tmp_path)))


def _quiet_modes() -> list[object]:
    """Return the modes of a new terminal that does not show what is typed."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(["stty", "-echo"], stdin=theirs, check=True)
        return list(termios.tcgetattr(theirs))
    finally:
        os.close(ours)
        os.close(theirs)


def _play(program: PtyProgram, dice: random.Random, left: int) -> int:
    """Send bursts until ``left`` sequences are sent or one has quit; return how many are left."""
    while left > 0 and program.wait(0.01) is None:
        burst = min(left, dice.randint(1, 25))
        left -= burst
        if dice.random() < 0.1:
            columns, rows = dice.choice([*SIZES, (20, 5)])
            fcntl.ioctl(program.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        sent = b"".join(dice.choices(POOL, k=burst))
        cut = dice.randint(0, len(sent))  # a sequence may arrive in two pieces
        program.press(sent[:cut])
        program.drain(dice.choice((0.0, 0.02, 0.15)))
        program.press(sent[cut:])
    return left


def _leave(program: PtyProgram) -> None:
    """End what was begun, close what is open, and quit; jobs that run are stopped."""
    for _ in range(100):
        for key in _TO_LEAVE:
            program.press(key)
            if program.wait(0.15) is not None:  # long enough for Escape to be a key by itself
                return
    end = len(program.output)
    os.kill(program.pid, signal.SIGABRT)  # Python writes where each thread is
    program.wait(10)
    raise AssertionError(f"it could not be left: {program.output[end - 2000 :].decode(errors='replace')}")


def _check_screen(output: bytes) -> None:
    """Check the sequences of a whole session: each mode is off again, the cursor is shown, nothing was said."""
    fault = output.find(b"Traceback")
    assert fault < 0, _DRAWING.sub(b"", output[fault:]).decode(errors="replace")[-8000:]
    last = dict(_MODE.findall(output))
    shown = {mode for mode, letter in last.items() if letter == b"h"}
    assert shown == {b"7", b"25"}  # lines are wrapped, the cursor is seen
    assert len(re.findall(rb"\x1b\[>\d+u", output)) == output.count(b"\x1b[<u")  # the keyboard protocol
    after = _DRAWING.sub(b"", output[output.rfind(b"\x1b[?1049l") :])
    assert after.strip() == b"", after
