"""What tools answer about jobs: plain text, as few words as will do, nothing in it that acts on a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.model import Attempt, Counts, Job, QueueInfo, State, Waiting, WorkerInfo
from core.output import text_of
from core.rules.serving_workers import why_none
from core.text import clean_line, clean_lines
from core.wording import ago, code_words, count, ending_words, outcome_words, phase_word, size, span

#: How much of a command a list shows, in characters.
COMMAND_SHOWN = 200
#: How many attempts of a job an answer has, the newest ones.
ATTEMPTS_SHOWN = 20


def standing(counts: Counts, queues: Sequence[QueueInfo], is_all_paused: bool, workers: Sequence[WorkerInfo]) -> str:
    """Return how many jobs stand where, who works and what is held back, a line each."""
    pending = f"{counts.of(State.PENDING)} pending ({counts.delayed} delayed)"
    states = (State.RUNNING, State.COMPLETED, State.DEAD, State.CANCELLED)
    lines = [", ".join([pending, *(f"{counts.of(state)} {state.value}" for state in states)])]
    alive = [worker for worker in workers if worker.is_alive]
    slots = sum(worker.slots for worker in alive)
    lines.append(f"{count(len(alive), 'worker')} alive, {count(slots, 'slot')}" if alive else "no worker is alive")
    if is_all_paused:
        lines.append("everything is paused: no job starts until a person resumes it")
    lines += [f"queue {clean_line(one.name)}: {_queue(one)}" for one in queues[:100]]
    return "\n".join(lines)


def _queue(one: QueueInfo) -> str:
    parts = [f"{number} {state.value}" for state, number in one.counts.items() if number and state is not State.PURGED]
    parts += ["paused"] if one.is_paused else []
    parts += [] if one.limit is None else [f"at most {one.limit} at once"]
    return ", ".join(parts) or "no jobs"


def job_line(job: Job, now: datetime) -> str:
    """Return a job in a list: number, name, state, queue, attempts, result, age, command; separated by tabs."""
    cells = (
        str(job.id),
        job.name or "-",
        phase_word(job, now),
        job.queue,
        f"{job.attempts}/{job.max_attempts}",
        ending_words(job) or "-",
        span((now - job.since).total_seconds()),
        cut(job.command),
    )
    return "\t".join(clean_line(cell) for cell in cells)


#: The first line of a list.
LIST_TITLE = "\t".join(("job", "name", "state", "queue", "tries", "result", "since", "command"))


def cut(text: str) -> str:
    """Return the beginning of a text that is longer than a list shows."""
    return text if len(text) <= COMMAND_SHOWN else f"{text[:COMMAND_SHOWN]}…"


def job_text(
    job: Job, attempts: Sequence[Attempt], waiting: Waiting | None, names: Sequence[str], now: datetime
) -> str:
    """Return all about a job; of its variables the names alone."""
    limit = "none" if job.timeout_s is None else f"{job.timeout_s:g} s"
    called = f" ({clean_line(job.name)})" if job.name else ""
    lines = [
        f"job {job.id}{called}: {phase_word(job, now)} since {ago(job.since, now)}",
        f"command: {clean_lines(job.command)}",
        f"cwd: {clean_line(job.cwd)}",
        f"queue: {clean_line(job.queue)}, priority {job.priority}, label {clean_line(job.label or '-')}",
        f"attempts: {job.attempts} of {job.max_attempts}, time limit {limit}",
    ]
    if job.run_at is not None:
        lines.append(f"not before: {job.run_at.isoformat(timespec='seconds')}")
    if waiting is not None:
        lines.append(f"not running: {clean_line(waiting.reason)}")
    if names:
        lines.append(f"variables: {clean_line(', '.join(names))}")
    lines += [_attempt(attempt) for attempt in attempts[-ATTEMPTS_SHOWN:]]
    return "\n".join(lines)


def _attempt(attempt: Attempt) -> str:
    if attempt.outcome is None:
        return f"attempt {attempt.number}: running"
    parts = [outcome_words(attempt.outcome)]
    parts += [] if attempt.exit_code is None else [code_words(attempt.outcome, attempt.exit_code)]
    parts += [] if attempt.error is None else [clean_line(attempt.error)]
    parts += [] if attempt.run_s is None else [f"{attempt.run_s:.1f} s"]
    parts += [] if attempt.output_bytes is None else [f"output {size(attempt.output_bytes)}"]
    return f"attempt {attempt.number}: {', '.join(parts)}"


def output_text(number: int, start: int, data: bytes, total: int) -> str:
    """Return a part of an attempt's output, from byte ``start`` on, behind a line that says which part it is."""
    return f"[attempt {number}, bytes {start}-{start + len(data)} of {total}]\n{clean_lines(text_of(data))}"


def without_worker(workers: Sequence[WorkerInfo], queue: str) -> str:
    """Return a line that no worker runs jobs of a queue, ended by a line feed; nothing if one does."""
    reason = why_none(workers, queue)
    return "" if reason is None else f"{clean_line(reason)}\n"
