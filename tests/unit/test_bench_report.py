"""Rows of one family of benchmarks put into a page of results that has others."""

from __future__ import annotations

from bench.lines import Line
from bench.report import as_markdown, merged


def test_rows_that_are_merged_replace_those_of_their_family_alone() -> None:
    """The others stay as they are, and it says when these were measured."""
    table = as_markdown([Line("claim", "one claim", 100, "µs"), Line("postgres", "old", 1, "ms")])
    page = f"# Head\n\n- date: then\n\n{table}\n\n<!-- readme: a -->\n"
    once = merged(page, [Line("postgres", "new", 2, "ms")], "now")
    assert once == merged(once, [Line("postgres", "new", 2, "ms")], "now")
    rows = [line.split(" | ")[0].strip("| ") for line in once.splitlines() if line.startswith("| ")]
    assert rows == ["what", "---", "one claim", "new"]
    assert once.splitlines()[:4] == ["# Head", "", "- date: then", "- rows of postgres: now"]
    assert once.endswith("\n\n<!-- readme: a -->\n")
