"""``queuectl enqueue true`` as a whole process, against a Python that imports two modules and ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from statistics import median

from bench.lines import Line, Scale, Target, middle_ratio
from bench.place import queuectl, scratch
from bench.place import run as run_program
from core.queue import Queue


def run(scale: Scale) -> Iterable[Line]:
    """Yield one line for adding a job and one for reading the counts."""
    baseline = [sys.executable, "-c", "import argparse, sqlite3"]
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        Queue(database).close()
        # Bytecode lies where it does after an installation; without any, ours would be compiled at every start.
        environment = {"QUEUECTL_DB": database, "PYTHONPYCACHEPREFIX": directory, "PYTHONDONTWRITEBYTECODE": ""}
        for words, target in ((("enqueue", "true"), Target(False, 2.0)), (("status", "--json"), None)):
            for argv in (baseline, queuectl(*words)):
                run_program(argv, environment=environment)
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(scale.starts):
                theirs.append(_milliseconds(baseline, environment))
                ours.append(_milliseconds(queuectl(*words), environment))
            yield Line(
                "startup",
                f"`queuectl {' '.join(words)}`, whole process",
                median(ours),
                "ms",
                'python -c "import argparse, sqlite3"',
                median(theirs),
                middle_ratio(ours, theirs),
                target,
            )


def _milliseconds(argv: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    run_program(argv, environment=environment)
    return (time.perf_counter() - began) * 1000
