"""Rows of one family of benchmarks put into a page of results that has others."""

from __future__ import annotations

from dataclasses import replace

from bench.lines import Line
from bench.report import as_markdown, for_readme, merged

#: A row of both engines.
CLAIM = "one claim, 1,000,000 waiting"


def test_rows_that_are_merged_replace_those_of_their_family_alone() -> None:
    """The others stay as they are, and it says when these were measured."""
    table = as_markdown([Line("claim", "one claim", 100, "µs"), Line("postgres", "old", 1, "ms")])
    page = f"# Head\n\n- date: then\n\n{table}\n\n<!-- readme: a -->\n"
    once = merged(page, [Line("postgres", "new", 2, "ms")], "now")
    assert once == merged(once, [Line("postgres", "new", 2, "ms")], "now")
    rows = [line.split(" | ")[0].strip("| ") for line in once.splitlines() if line.startswith("| ")]
    assert rows == ["what", "---", "one claim", "new"]
    assert once.splitlines()[:4] == ["# Head", "", "- date: then", "- rows of postgres: now"]


def test_what_readme_shows_is_of_the_rows_that_stand_there() -> None:
    """Of those that were merged and of those that stayed, in one sentence too."""
    true = Line("throughput", "`/bin/true` jobs, 2 slots", 700, "jobs/s", "xargs", 1000, 0.7, note="a shim each")
    nq = Line("peers", "`/bin/true` jobs beside nq", 700, "jobs/s", "nq", 500, 1.4)
    page = f"- date: then\n\n{as_markdown([true, nq])}\n\n" + "".join(f"{line}\n" for line in for_readme([true, nq]))
    again = merged(page, [replace(true, ours=1600, ratio=0.8)], "now")
    again = merged(again, [Line("claim", CLAIM, 100, "µs", ratio=1.01)], "now")
    again = merged(again, [Line("postgres", CLAIM, 900, "µs", ratio=1.02)], "now")
    shown, claim = [line for line in again.splitlines() if line.startswith("<!-- readme: ")]
    assert shown.startswith("<!-- readme: 1,600 `/bin/true` jobs a second with two slots, 0.80 of bare")
    assert ", 1.4 of nq" in shown
    assert "700" not in shown
    assert "1.01 times one with 1,000 (100 µs" in claim
