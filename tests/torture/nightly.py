"""A build of ten steps in a diamond, enqueued by a schedule again and again, while workers are killed at random.

Two locks, a hook on dead, one step that dies until it is mended. The steps keep a log of their own; afterwards it is
compared with what was asked for: each occurrence once, no step before what it needs, no lock shared, each death in one
digest; then the dead step is mended and replayed by key in the dashboard, and the chain goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from core.model import State, View
from core.queue import Queue
from tests.torture.fleet import Fleet, drain, memory_or_disk, place
from tests.torture.forks import call
from tests.torture.results import Options, Result

TITLE = "nightly build"
#: For how long the end of everything is awaited, in seconds.
_PATIENCE_S = 240.0
_WORKERS = 3
_SLOTS = 3

#: The steps: what each needs to have completed, and the lock that it holds.
STEPS: Mapping[str, tuple[Sequence[str], str]] = {
    "fetch": ((), ""),
    "compile-a": (("fetch",), "license"),
    "compile-b": (("fetch",), "license"),
    "docs": (("fetch",), ""),
    "test-a": (("compile-a",), "database"),
    "test-b": (("compile-b",), "database"),
    "pack": (("test-a", "test-b", "docs"), ""),
    "sign": (("pack",), "license"),
    "deploy": (("sign",), "database"),
    "report": (("deploy",), ""),
}
#: The step that dies for as long as the file "mended" is not there.
BROKEN = "pack"

# One line for each begin and end; a lock that another step holds at that moment is a line of its own.
_STEP = """#!/bin/sh
# build, step, lock, seconds
cd "${0%/*}" || exit 9
echo "B $1 $2 $(date +%s%N)" >>log
if [ -n "$3" ] && ! mkdir "lock-$3" 2>/dev/null; then echo "X $1 $2 $3" >>log; fi
sleep "$4"
[ -z "$3" ] || rmdir "lock-$3"
if [ "$2" = pack ] && ! [ -e mended ]; then echo "pack: no space left in the archive $1"; exit 7; fi
echo "E $1 $2 $(date +%s%N)" >>log
"""
_HOOK = """#!/bin/sh
cd "${0%/*}" || exit 9
lines=$(cat)
echo "digest $QUEUECTL_JOB_ID $QUEUECTL_HOOK_COUNT" >>digests
printf '%s\\n' "$lines" >>deaths
"""


def run(options: Options) -> Result:
    """Let the schedule run for 20 seconds, or ten minutes."""
    result = Result()
    seconds = options.length_s(20.0, 600.0)
    with place(memory_or_disk()) as directory:
        _build(result, directory, seconds, options)
    return result


def _build(result: Result, directory: str, seconds: float, options: Options) -> None:
    path = os.path.join(directory, "queue.db")
    _prepare(directory, path, is_short=seconds < 120)
    chance = options.random()
    fleet = Fleet(path, _WORKERS, slots=_SLOTS)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            time.sleep(chance.uniform(0.05, 1.0))
            fleet.replace(chance.choice(fleet.pids))
            result.count("kills of workers")
        _cli(path, "schedule", "pause", "nightly")
    finally:
        fleet.stop()
    drain(path, timeout_s=_PATIENCE_S)
    occurrences = _occurrences(path)
    result.numbers["occurrences"] = len(occurrences)
    log = _Log(directory)
    result.expect(len(occurrences) >= 2, f"only {len(occurrences)} occurrences")
    result.expect(len(set(occurrences)) == len(occurrences), "an instant has two occurrences")
    result.expect(
        log.of("B", "fetch") == Counter(dict.fromkeys(occurrences.values(), 1)), "not one build an occurrence"
    )
    dead = call(lambda: _ids(path, State.DEAD))
    result.numbers["deaths"] = len(dead)
    result.expect(len(dead) == len(occurrences), f"{len(dead)} dead steps of {len(occurrences)} builds")
    result.expect(not log.of("B", "sign"), "a step began after one that had died")
    open(os.path.join(directory, "mended"), "w").close()
    replayed = call(lambda: asyncio.run(_replay_by_key(path)), timeout_s=2 * _PATIENCE_S)
    result.expect(replayed == len(dead), f"{replayed} of {len(dead)} were replayed by key")
    _drain_with_digests(path)
    _check(result, directory, path, occurrences, dead)


def _drain_with_digests(path: str) -> None:
    """Do what is left, digests of deaths included, whose windows are open until they are due."""
    deadline = time.monotonic() + _PATIENCE_S
    while call(lambda: _waiting(path)) and time.monotonic() < deadline:
        drain(path, timeout_s=_PATIENCE_S)
        time.sleep(0.2)


def _waiting(path: str) -> int:
    with Queue(path) as queue:
        return queue.count(View((State.PENDING,)))


def _check(result: Result, directory: str, path: str, occurrences: Mapping[str, str], dead: Sequence[int]) -> None:
    log = _Log(directory)
    result.problems += log.problems()
    for step in STEPS:
        ended = log.of("E", step)
        result.expect(
            ended == Counter(dict.fromkeys(occurrences.values(), 1)), f"{step} ended {sum(ended.values())} times"
        )
    result.numbers["steps"] = sum(sum(log.of("E", step).values()) for step in STEPS)
    result.expect(not call(lambda: _ids(path, State.DEAD)), "something is dead at the end")
    result.expect(not call(lambda: _ids(path, State.PENDING)), "something waits at the end")
    told = Counter(event["id"] for event in _lines(os.path.join(directory, "deaths")))
    result.expect(told == Counter(dead), f"deaths in digests: {sum(told.values())}, dead: {len(dead)}")
    with open(os.path.join(directory, "digests"), encoding="ascii") as file:
        result.numbers["digests"] = len(file.readlines())


class _Log:
    """What the steps wrote: begins and ends, each of a build and a step at an instant in nanoseconds."""

    def __init__(self, directory: str) -> None:
        with open(os.path.join(directory, "log"), encoding="ascii") as file:
            self._lines = [line.split() for line in file]

    def of(self, kind: str, step: str) -> Counter[str]:
        """Return how often each build began (``B``) or ended (``E``) a step."""
        return Counter(words[1] for words in self._lines if words[0] == kind and words[2] == step)

    def problems(self) -> list[str]:
        """Return what may not be: a shared lock, a step that began before the end of one that it needs."""
        found = [f"build {words[1]}: {words[2]} shared {words[3]}" for words in self._lines if words[0] == "X"]
        at: dict[tuple[str, str, str], int] = {}
        for kind, build, step, *rest in self._lines:
            if kind in "BE":
                at.setdefault((kind, build, step), int(rest[0]))  # the first time
        for (kind, build, step), began in at.items():
            if kind == "B":
                needs = STEPS[step][0]
                found += [
                    f"build {build}: {step} began before the end of {need}"
                    for need in needs
                    if at.get(("E", build, need), began + 1) > began
                ]
        return found


def _prepare(directory: str, path: str, *, is_short: bool) -> None:
    for name, text in (("step", _STEP), ("hook", _HOOK)):
        with open(os.path.join(directory, name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(os.path.join(directory, name), 0o700)
    for name in ("log", "digests", "deaths"):
        open(os.path.join(directory, name), "w").close()
    batch = os.path.join(directory, "batch")
    with open(batch, "w", encoding="ascii") as file:
        for step, (after, lock) in STEPS.items():
            command = f'{directory}/step BUILD {step} "{lock}" 0.2'
            fields: dict[str, Any] = {"ref": step, "command": command, "after": list(after), "max-attempts": 1}
            if lock:
                fields["needs"] = {lock: 1}
            file.write(json.dumps(fields) + "\n")
    _cli(path, "hook", "add", "dead", "--every", "3s" if is_short else "60s", "--", f"{directory}/hook")
    # one enqueue is one transaction: a build is there as a whole or not at all
    build = f"sed s/BUILD/$QUEUECTL_JOB_ID/ {batch} | {sys.executable} -m core enqueue --stdin"
    when = ("--every", "4s") if is_short else ("* * * * *",)
    _cli(path, "schedule", "add", "nightly", *when, "--overlap", "allow", "--missed", "all", "--", build)


def _cli(path: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "core", *words],
        env={**os.environ, "QUEUECTL_DB": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stderr.strip()}")
    return done.stdout


def _occurrences(path: str) -> dict[str, str]:
    """Return the job of each occurrence that was not skipped, by its instant."""
    shown = json.loads(_cli(path, "schedule", "show", "nightly", "--json"))
    return {entry["due_at"]: str(entry["job_id"]) for entry in shown["occurrences"] if entry["job_id"] is not None}


def _ids(path: str, state: State) -> list[int]:
    with Queue(path) as queue:
        return queue.ids(View((state,)))


async def _replay_by_key(path: str) -> int:
    """Replay all dead jobs in the dashboard as a user would, with ``R`` in the DLQ; return how many."""
    from queuectl_tui.app import QueuectlApp
    from queuectl_tui.gateway.gateway import Gateway
    from queuectl_tui.keymap import ACTIONS
    from queuectl_tui.preferences import Preferences
    from queuectl_tui.snapshot import Pane

    with Queue(path) as queue:
        before = queue.count(View((State.DEAD,)))
        gateway = Gateway(queue, slots=0)
        app = QueuectlApp(gateway, ACTIONS, Preferences(first_pane="dlq"))
        async with app.run_test(size=(120, 40)) as pilot:
            deadline = time.monotonic() + _PATIENCE_S
            while queue.count(View((State.DEAD,))) and time.monotonic() < deadline:
                if app.dashboard.snapshot.panes[Pane.DLQ].rows:
                    await pilot.press("4", "r")
                await pilot.pause(0.1)
        gateway.close()
        return before - queue.count(View((State.DEAD,)))


def _lines(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]
