"""A very short form of the torture, for every run of the tests; ``make torture-short`` is the next longer one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.torture import report

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("harness", "options"),
    [
        ("replaced", ()),
        ("corruption", ("--share", "0.2")),
        ("machine", ("--share", "0.1")),
        ("stops", ("--seconds", "2")),
        ("contention", ("--seconds", "2")),
        ("storm", ("--seconds", "3")),
        ("failpoints", ("--share", "0.05")),
        ("hosts", ("--seconds", "8", "--share", "0.2")),
        ("nightly", ("--seconds", "12")),
    ],
)
def test_nothing_is_found(harness: str, options: tuple[str, ...]) -> None:
    """A part of the harness's short form, in a process that has no threads when it forks, reports no problem."""
    command = [sys.executable, "-m", "tests.torture", "--short", "--no-report", "--seed", "20300101"]
    done = subprocess.run(
        [*command, "--only", harness, *options], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_shows_every_kind_of_result() -> None:
    """Numbers, problems and reasons for skipping all find their place in the table."""
    row = {
        "form": "short",
        "harness": "storm",
        "title": "a harness",
        "seed": 7,
        "command": "python -m tests.torture",
        "seconds": 3,
        "at": "2030-01-01 12:00 UTC",
        "machine": "a machine",
        "core": "0123abcd",
    }
    done = {**row, "numbers": {"kills": 12_345}, "problems": 0, "skipped": None}
    skipped = {**row, "numbers": {}, "problems": 0, "skipped": "there is no strace"}
    page = report.page({"short a": done, "short b": skipped})
    assert (
        "| a harness | kills: 12,345 | **0** | 3 s | 2030-01-01 12:00 UTC, 0123abcd, 7, `python -m tests.torture` |"
        in page
    )
    assert "skipped: there is no strace" in page
