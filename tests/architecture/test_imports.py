"""What importing a part of the product brings along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter holds after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("statement", ["import core", "from core import Queue, Worker", "import core.cli"])
def test_the_queue_loads_neither_textual_nor_rich(statement: str) -> None:
    """The library and the CLI start without the dashboard's toolkit; rich comes only when a table is drawn."""
    loaded = modules_after(statement)
    assert "core" in loaded
    assert {name.partition(".")[0] for name in loaded}.isdisjoint({"textual", "rich", "queuectl_tui"})


def test_importing_the_package_alone_opens_no_database_module() -> None:
    """``import core`` is a door, not the house: nothing behind it is loaded until it is asked for."""
    assert "sqlite3" not in modules_after("import core")
