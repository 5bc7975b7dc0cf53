"""Measure the queue and print one table: ``python -m bench [--quick] [--only NAME] [--write] [--peers-venv DIR]``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator

from bench import (
    batch,
    claiming,
    dashboard,
    idle,
    latency,
    machine,
    memory,
    peer_calls,
    peers,
    place,
    postgres,
    report,
    startup,
    throughput,
    triage,
    waiting,
)
from bench.lines import FULL, QUICK, Line, Scale

_RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "RESULTS.md")
_NAMES = (
    "throughput",
    "batch",
    "startup",
    "latency",
    "claim",
    "list",
    "memory",
    "idle",
    "peers",
    "dashboard",
    "triage",
    "waiting",
    "postgres",
)


def main(arguments: list[str]) -> int:
    """Run what was asked for; return 1 when a target is missed, which a short run is too coarse to tell."""
    options = _parser().parse_args(arguments)
    directory = place.use(options.dir)
    began = time.monotonic()
    facts = machine.facts(directory)
    for name, value in facts:
        print(f"{name + ':':30} {value}")
    lines: list[Line] = []
    scale = QUICK if options.quick else FULL
    for line in _measured(scale, options.only or _NAMES, options.peers_venv):
        lines.append(line)
        _say(f"{time.monotonic() - began:5.0f} s  {line.what}")
    _say("")
    print("\n" + report.as_text(lines))
    missed = [line for line in lines if line.is_met is False]
    print(f"\n{sum(line.is_met is True for line in lines)} targets met, {len(missed)} missed")
    if options.write:
        _write(facts, lines, [*arguments])
    if options.merge:
        _merge(dict(facts), lines)
    return 1 if missed and not options.quick else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the queue against its baselines.")
    parser.add_argument("--quick", action="store_true", help="a short form, for CI: less of everything, and no verdict")
    parser.add_argument("--only", action="append", choices=_NAMES, help="measure only this family (may be repeated)")
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    parser.add_argument("--merge", action="store_true", help="put these rows into the table that is there")
    parser.add_argument("--dir", help="where the databases are put (default: the system's temporary directory)")
    parser.add_argument(
        "--peers-venv", metavar="DIR", help="an environment that has other queues (see bench.install_peers)"
    )
    return parser


def _measured(scale: Scale, wanted: Iterable[str], venv: str | None) -> Iterator[Line]:
    names = set(wanted)
    families = {"throughput": throughput, "batch": batch, "startup": startup, "latency": latency}
    for name, family in families.items():
        if name in names:
            yield from family.run(scale)
    if names & {"claim", "list"}:
        # both look at the same million jobs, which take a while to add
        yield from (line for line in claiming.run(scale) if line.name in names)
    if "memory" in names:
        yield from memory.run(scale)
    if "idle" in names:
        yield from idle.run(scale)
    if "peers" in names:
        yield from peers.run(scale, venv)
        yield from peer_calls.run(scale, venv)
    last = {"dashboard": dashboard, "triage": triage, "waiting": waiting}
    for name, one in last.items():
        if name in names:
            yield from one.run(scale)
    if "postgres" in names:
        yield from postgres.run(scale, venv)


def _say(text: str) -> None:
    """Show progress to a person, and nobody else."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:100]}", end="", file=sys.stderr, flush=True)


def _merge(facts: dict[str, str], lines: list[Line]) -> None:
    with open(_RESULTS, encoding="utf-8") as file:
        page = file.read()
    when = f"{facts['date']}, load {facts['load at the start']}, by `--merge`"
    with open(_RESULTS, "w", encoding="utf-8") as file:
        file.write(report.merged(page, lines, when))


def _write(facts: list[tuple[str, str]], lines: list[Line], arguments: list[str]) -> None:
    shown = [argument for argument in arguments if argument != "--write"]
    if "--peers-venv" in shown:
        shown[shown.index("--peers-venv") + 1] = "DIR"
    if "--dir" in shown:
        shown[shown.index("--dir") + 1] = "DIR"
    text = (
        "# How fast it is\n\n"
        f"Written by `python -m bench {' '.join([*shown, '--write'])}` (`make bench`); nothing here is typed by hand.\n"
        "A ratio is the median of ratios of runs that took turns in one session; a target speaks of the ratio where\n"
        "there is one, else of our own number.\n\n"
        + "".join(f"- {name}: {value}\n" for name, value in facts)
        + f"\n{report.as_markdown(lines)}\n\n"
        + "".join(f"{line}\n" for line in report.for_readme(lines))
    )
    with open(_RESULTS, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
