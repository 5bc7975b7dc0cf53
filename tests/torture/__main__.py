"""``python -m tests.torture``: run the harnesses, all or some, in their short or long form, or the mutants."""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.torture import report
from tests.torture.forks import ChildFailed, call
from tests.torture.mutants import MUTANTS, VARIABLE, Mutant
from tests.torture.results import Options, Result

#: The harnesses, quick ones first.
HARNESSES = (
    "replaced",
    "fulldisk",
    "corruption",
    "machine",
    "machine_on_a_server",
    "stops",
    "contention",
    "storm",
    "hosts",
    "checksums",
    "nightly",
    "powerloss",
    "faults",
    "failpoints",
    "soak",
)
_LONGEST_S = 3 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 0 when nothing was found, 1 when something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few minutes in all, as in CI")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*HARNESSES, *(mutant.name for mutant in MUTANTS)),
        help="this harness (of --mutants: or mutant); may be given more than once",
    )
    parser.add_argument("--seed", type=int, help="repeat the choices of an earlier run")
    parser.add_argument("--seconds", type=float, help="length of each harness that runs for a time")
    parser.add_argument("--share", type=float, default=1.0, help="part of the cases of each harness that counts cases")
    parser.add_argument("--until-found", action="store_true", help="end each harness with the first problem")
    parser.add_argument("--mutants", action="store_true", help="show that the harnesses notice missing safeguards")
    parser.add_argument("--no-report", action="store_true", help="leave TORTURE.md as it is")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(1 << 31)
    print(f"seed {seed}; {report.machine()}", flush=True)
    if options.mutants:
        return _try_mutants(options.only, seed, not options.no_report)
    failed = False
    for name in options.only or HARNESSES:
        wanted = Options(seed, options.short, options.seconds, options.share, options.until_found)
        failed |= _run(name, wanted, not options.no_report)
    return int(failed)


def _run(name: str, options: Options, is_reported: bool) -> bool:
    """Run one harness in a process of its own; return whether it found anything."""
    module = importlib.import_module(f"tests.torture.{name}")
    print(f"{name} ({module.TITLE}) …", flush=True)
    began = time.monotonic()
    missing = _missing()
    try:
        result = Result(skipped=missing) if missing else call(lambda: module.run(options), timeout_s=_LONGEST_S)
    except ChildFailed as error:
        result = Result(problems=[str(error)])
    seconds = time.monotonic() - began
    for what, number in result.numbers.items():
        print(f"    {what}: {number:,}" if isinstance(number, int) else f"    {what}: {number}")
    if result.skipped is not None:
        print(f"    skipped: {result.skipped}")
    for problem in result.problems[:20]:
        print(f"    PROBLEM {problem}")
    print(f"    {len(result.problems)} problems, {seconds:.0f} s", flush=True)
    if is_reported:
        form = "short" if options.is_short else "long"
        report.record(form, name, module.TITLE, options.seed, _command(name, options), seconds, result)
    return bool(result.problems)


def _missing() -> str | None:
    """Return what the harnesses cannot do without, if this machine lacks it."""
    if not sys.platform.startswith("linux"):
        return "the harnesses take Linux: they look at processes in /proc"
    return None if shutil.which("flock") else "the jobs take flock (util-linux)"


def _command(name: str, options: Options) -> str:
    words = ["python -m tests.torture", f"--only {name}", f"--seed {options.seed}"]
    words += ["--short"] if options.is_short else []
    words += [f"--seconds {options.seconds:g}"] if options.seconds is not None else []
    words += [f"--share {options.share:g}"] if options.share != 1.0 else []
    return " ".join(words)


def _try_mutants(only: Sequence[str] | None, seed: int, is_reported: bool) -> int:
    """Run the harness of each mutant; return 1 if one of them notices nothing."""
    unnoticed = []
    for mutant in MUTANTS:
        if only and mutant.harness not in only and mutant.name not in only:
            continue
        print(f"mutant {mutant.name}: {mutant.what} …", flush=True)
        began = time.monotonic()
        found = _harness_fails(mutant, seed)
        seconds = time.monotonic() - began
        print(
            f"    {mutant.harness} {'notices: ' + found if found else 'NOTICES NOTHING'}, {seconds:.0f} s", flush=True
        )
        if not found:
            unnoticed.append(mutant.name)
        if is_reported:
            result = Result({mutant.harness: found or "noticed nothing"}, [found] if found else [])
            command = f"python -m tests.torture --mutants --only {mutant.name} --seed {seed}"
            report.record("mutant", mutant.name, mutant.what, seed, command, seconds, result)
    print("every mutant was noticed" if not unnoticed else f"not noticed: {', '.join(unnoticed)}")
    return int(bool(unnoticed))


def _harness_fails(mutant: Mutant, seed: int) -> str:
    """Run a harness on a mutant; return the first thing it found, nothing if it found nothing."""
    if mutant.harness in HARNESSES:
        sign = "PROBLEM "
        command = [sys.executable, "-m", "tests.torture", "--short", "--no-report", "--until-found"]
        command += ["--only", mutant.harness, "--seed", str(seed)]
        command += ["--seconds", str(mutant.seconds)] if mutant.seconds is not None else []
    else:
        sign = "FAILED "
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.torture", "-p", "no:cacheprovider"]
        command += [mutant.harness]
    done = subprocess.run(
        command, env={**os.environ, VARIABLE: mutant.name}, capture_output=True, text=True, timeout=900, check=False
    )
    found = [line.strip().removeprefix(sign) for line in done.stdout.splitlines() if sign in line]
    if "does not fit" in done.stdout + done.stderr or done.returncode != 1 or not found:
        print(done.stdout[-600:], done.stderr[-600:])
        return ""
    return re.sub(r"\S*/queuectl-torture-\w+/", "", found[0])[:160]


if __name__ == "__main__":
    sys.exit(main())
