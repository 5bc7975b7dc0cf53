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

#: What is called, and how many times the baseline it may take.
_VERBS = (
    (("enqueue", "true"), 1.6),
    (("status", "--json"), 2.5),
    (("list", "--json", "--limit", "20"), 2.5),
    (("show", "1", "--json"), 2.5),
)


def run(scale: Scale) -> Iterable[Line]:
    """Yield a line for each verb that scripts call."""
    baseline = [sys.executable, "-c", "import argparse, sqlite3"]
    with scratch() as directory:
        database = os.path.join(directory, "queue.db")
        with Queue(database) as queue:
            queue.add("true")
        # Bytecode lies where it does after an installation; without any, ours would be compiled at every start.
        environment = {"QUEUECTL_DB": database, "PYTHONPYCACHEPREFIX": directory, "PYTHONDONTWRITEBYTECODE": ""}
        for words, bound in _VERBS:
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
                Target(False, bound),
            )


def _milliseconds(argv: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    run_program(argv, environment=environment)
    return (time.perf_counter() - began) * 1000
