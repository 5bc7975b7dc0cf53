"""Ctrl+C at the beginning and at the end of a program."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT

_PROGRAM = """
import os, signal, sys
from core.interrupt import end_at_once_on_interrupt, end_quietly, has_started
def main():
    has_started()
    try:
        return 7
    finally:
        {}
end_at_once_on_interrupt()
sys.exit(end_quietly(main))
"""


@pytest.mark.parametrize(("last", "code"), [("os.kill(os.getpid(), signal.SIGINT)", 130), ("pass", 7)])
def test_an_interrupt_on_the_way_out_of_main_ends_the_program_quietly(last: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(last)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
