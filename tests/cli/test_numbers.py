"""Numbers in options and selectors: whatever their size, the answer is a line and an exit code."""

from __future__ import annotations

import pytest

from core.queue import Queue
from tests.cli.conftest import Cli

SIZES = ["99999999999999999999", "9223372036854775808", "-9223372036854775809", "9" * 5000, "1e400", "٣٣٣٣", "1_0"]
#: With ``B`` for the number; those that it may be too large for, and those in which it only names what is not there.
LINES = [
    "enqueue -p B true",
    "enqueue --max-attempts B true",
    "enqueue --max-retries B true",
    "enqueue --backoff-base B true",
    "enqueue --timeout B true",
    "enqueue --delay B true",
    "enqueue --ok-exit B true",
    "enqueue --dead-exit B true",
    "enqueue --at B true",
    "logs 1 --attempt B",
    "logs 1 -n B",
    "logs B",
    "list --limit B",
    "list --after B",
    "list --grep id:B",
    "list --grep exit:B",
    "list --grep signal:B",
    "list --grep attempts:B",
    "list --grep >Bs",
    "list --grep age:<Bd",
    "dlq list --limit B",
    "dlq replay B",
    "dlq purge B --yes",
    "show B",
    "edit B --label x",
    "edit 1 --priority B",
    "retry B",
    "cancel B",
    "restore B",
    "wait B",
    "wait --all --timeout Bd",
    "undo --act B",
    "purge B --yes",
    "purge --all --yes --older-than Bd",
    "metrics --window Bs",
    "queue limit default B",
    "resource set gpu B",
    "worker stop B",
    "worker start --concurrency B",
    "worker stop --timeout Bd",
    "config set max-attempts B",
    "config set backoff-base B",
    "config set output-limit BG",
    "config set keep-purged Bd",
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size[:12])
@pytest.mark.parametrize("line", LINES)
def test_a_number_of_any_size_gets_one_line(cli: Cli, open_queue: Queue, line: str, size: str) -> None:
    """Refused as wrong usage, or there is no such thing; never a traceback, and nothing is changed."""
    open_queue.add("true")
    if line.startswith("wait --all"):
        open_queue.cancel(1)
    arguments = [word.replace("B", size) for word in line.split()]
    result = cli(*arguments)
    assert "Traceback" not in result.err
    assert all(len(text) < 600 for text in result.err.splitlines()) or size in result.err
    if result.code:
        assert result.code in (1, 2, 3, 4)
        assert result.err.count("\n") == 1
    assert open_queue.job(1).label is None
