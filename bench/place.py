"""Where a benchmark runs: throw-away directories on one file system, and the programs it starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

#: The root of the repository: child processes start here, so that they find ``core`` and ``bench``.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: What the console script does, for an environment that the package is not installed in.
_SCRIPT = "import sys; from core.cli import main; sys.exit(main())"

_parent: list[str] = []


def use(directory: str | None) -> str:
    """Choose the directory that everything is put under; return it."""
    chosen = os.path.abspath(directory or tempfile.gettempdir())
    _parent[:] = [chosen]
    return chosen


@contextlib.contextmanager
def using(directory: str) -> Iterator[None]:
    """Put everything under another directory for a while."""
    before = list(_parent)
    try:
        use(directory)
        yield
    finally:
        _parent[:] = before


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """Give an empty directory that is removed afterwards."""
    directory = tempfile.mkdtemp(prefix="queuectl-bench-", dir=_parent[0] if _parent else None)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def queuectl(*arguments: str) -> list[str]:
    """Return the command line of ``queuectl``; ``make`` installs the console script beside Python."""
    script = os.path.join(os.path.dirname(sys.executable), "queuectl")
    program = [script] if os.access(script, os.X_OK) else [sys.executable, "-c", _SCRIPT]
    return [*program, *arguments]


def run(argv: Sequence[str], *, input_text: str | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return its stdout; raise when it fails."""
    done = subprocess.run(
        argv,
        input=input_text,
        stdin=subprocess.DEVNULL if input_text is None else None,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=None if environment is None else {**os.environ, **environment},
        timeout=600,
    )
    return done.stdout


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line of one of the benchmark's own helper processes."""
    return [sys.executable, "-m", module, *arguments]
