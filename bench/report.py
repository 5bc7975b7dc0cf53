"""The table of results: as text for a terminal and as Markdown for the record."""

from __future__ import annotations

from collections.abc import Sequence

from bench.lines import Line

_HEADER = ("what", "ours", "against", "theirs", "ratio", "target", "met", "repeat with")
_RIGHT = {1, 3, 4}


def as_text(lines: Sequence[Line]) -> str:
    """Return the table in columns, the notes below their lines."""
    cells = [_cells(line, is_markdown=False) for line in lines]
    widths = [max(len(row[column]) for row in [_HEADER, *cells]) for column in range(len(_HEADER))]
    printed = [_spread(_HEADER, widths), "  ".join("-" * width for width in widths)]
    for line, row in zip(lines, cells, strict=True):
        printed.append(_spread(row, widths))
        if line.note:
            printed.append(f"    {line.note}")
    return "\n".join(printed)


#: Whom README names: programs that run shell commands and keep what became of them, as ours does.
_PROGRAMS = ("task-spooler", "nq", "GNU parallel --joblog")


def _spread(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        text.rjust(width) if column in _RIGHT else text.ljust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()


def as_markdown(lines: Sequence[Line]) -> str:
    """Return the table in Markdown, each note in the cell of what it speaks of."""
    rows = [_HEADER, tuple("--:" if column in _RIGHT else "---" for column in range(len(_HEADER)))]
    rows += [_cells(line, is_markdown=True) for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def merged(page: str, lines: Sequence[Line], when: str) -> str:
    """Return the page of another run with the rows of these lines' families in place of those that it has.

    ``when`` says when, and on how busy a machine, these were measured. What README shows is taken from all rows anew.
    """
    names = sorted({line.name for line in lines})
    ends = tuple(f"`python -m bench --only {name}` |" for name in names)
    heads = tuple(f"- rows of {name}: " for name in names)
    kept = [line for line in page.splitlines() if not line.endswith(ends) and not line.startswith(heads)]
    table = [number for number, line in enumerate(kept) if line.startswith("| ")]
    facts = max(number for number, line in enumerate(kept) if line.startswith("- "))
    added = [f"{head}{when}" for head in heads]
    rows = as_markdown(lines).splitlines()[2:]
    rows = [*kept[facts + 1 : table[-1] + 1], *rows]
    shown = for_readme([_line_of(row) for row in rows if row.endswith("` |")])
    return "".join(f"{line}\n" for line in (*kept[: facts + 1], *added, *rows, "", *shown))


def _line_of(row: str) -> Line:
    """Return what README needs of a row in Markdown."""
    what, ours, against, _, ratio, *_, command = (cell.strip(" |") for cell in row.removeprefix("|").split(" | "))
    number, _, unit = ours.replace(",", "").partition(" ")
    return Line(
        command.strip("`").rpartition(" ")[2],
        what.partition(" (")[0],
        float(number),
        unit,
        against,
        ratio=float(ratio) if ratio else None,
    )


def for_readme(lines: Sequence[Line]) -> list[str]:
    """Return the few numbers that README shows, each as the comment that it takes them from."""
    found = {line.what: line for line in lines if line.name != "postgres"}  # whose rows are called as those of a file
    said = []
    if (true := found.get("`/bin/true` jobs, 2 slots")) and true.ratio is not None:
        peers = [
            f", {line.ratio:.1f} of {line.against}"
            for line in lines
            if line.what.startswith("`/bin/true` jobs beside") and line.against in _PROGRAMS and line.ratio is not None
        ]
        longer = next((line for line in lines if line.what.startswith("`sleep 0.15` jobs, 2 slots")), None)
        with_longer = "" if longer is None or longer.ratio is None else f"; {longer.ratio:.2f} of it for jobs of 0.15 s"
        said.append(
            f"{_number(true.ours)} `/bin/true` jobs a second with two slots, {true.ratio:.2f} of bare `xargs -P2`"
            f"{with_longer}{''.join(peers)}"
        )
    if (start := next((line for line in lines if line.what.startswith("commit to start, p50")), None)) is not None:
        said.append(f"{_number(start.ours)} ms from enqueue in one process to the command's start in another (median)")
    if (claim := found.get("one claim, 1,000,000 waiting")) and claim.ratio is not None:
        said.append(
            f"a claim with 1,000,000 jobs waiting costs {claim.ratio:.2f} times one with 1,000"
            f" ({_number(claim.ours)} µs, commit included)"
        )
    opening = next((line for line in lines if line.what.startswith("dashboard: start to first content")), None)
    if opening is not None and (move := found.get("dashboard: row move, p50")):
        jobs = opening.what.rpartition(", ")[2]
        said.append(
            f"a dashboard over {jobs}: on the screen {_number(opening.ours)} ms after the command, the cursor moves"
            f" {_number(move.ours)} ms after the key (medians)"
        )
    return [f"<!-- readme: {line} (`make bench`, [all rows](bench/RESULTS.md)) -->" for line in said]


def _cells(line: Line, *, is_markdown: bool) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "**no**" if is_markdown else "NO"}[line.is_met]
    command = f"python -m bench --only {line.name}"
    return (
        f"{line.what} ({line.note})" if is_markdown and line.note else line.what,
        f"{_number(line.ours)} {line.unit}",
        line.against,
        "" if line.theirs is None else f"{_number(line.theirs)} {line.unit}",
        "" if line.ratio is None else f"{line.ratio:.2f}",
        "" if line.target is None else str(line.target),
        met,
        f"`{command}`" if is_markdown else command,
    )


def _number(value: float) -> str:
    """Return three digits that count, and thousands in groups."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
