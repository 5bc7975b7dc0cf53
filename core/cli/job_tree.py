"""Print the tree of a job: what it waits for, and what waits for it."""

from __future__ import annotations

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.tables import COLOURS, Cell, Column, show_table
from core.model import JobRef
from core.queue import Queue
from core.rules.tree import left_out, note, stem, tree_lines
from core.text import clean_line
from core.wording import count, phase_word

_COLUMNS = (Column("job", is_wide=True), Column("state"), Column("why", is_wide=True))


def show_tree(session: Session, queue: Queue, reference: JobRef) -> int:
    """Print a line for each job of a tree, or its jobs and edges as JSON; return the exit code."""
    tree = queue.tree(reference)
    now = session.now()
    if session.is_json:
        from core.cli.json_output import flat, job_object, print_object

        jobs = [job_object(tree.jobs[job_id], now) for job_id in sorted(tree.jobs)]
        print_object({"root": tree.root, "jobs": jobs, "edges": [flat(edge) for edge in tree.edges]})
        return DONE
    rows = []
    for line in tree_lines(tree):
        job, word = line.job, phase_word(line.job, now)
        named = f"{stem(line.branches)}{job.id} {clean_line(job.name or job.command)}"
        shown = Cell(named, "bold") if job.id == tree.root else Cell(named)
        rows.append((shown, Cell(word, COLOURS[word]), note(line, now)))
    show_table(session, _COLUMNS, rows)
    if missing := left_out(tree):
        session.note(f"queuectl: {count(missing, 'more job')} beside these, which the tree of one of them has")
    return DONE
