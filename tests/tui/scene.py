"""Fixed pictures of a queue for tests and screenshots: the same jobs, times and names in every run."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from core.model import (
    Attempt,
    Counts,
    DeadGroup,
    Dependency,
    EdgeKind,
    Event,
    Job,
    Minute,
    NewJob,
    Outcome,
    Phase,
    QueueInfo,
    ResourceInfo,
    Row,
    State,
    Tree,
    View,
    Waiting,
    WorkerInfo,
)
from core.rules.comparison import Comparison, compare
from core.rules.schedules import ScheduleInfo
from queuectl_tui.gateway.detail_reader import ComparedOutput
from queuectl_tui.gateway.found_reader import OutputLineSearch
from queuectl_tui.snapshot import (
    Found,
    JobDetail,
    Pane,
    PaneData,
    Plan,
    Rates,
    Readable,
    Snapshot,
    empty_snapshot,
)

NOW = datetime(2026, 1, 2, 10, 30, 0, tzinfo=timezone.utc)

#: Where all jobs run; it need not exist.
DIRECTORY = "/home/ada/jobs"

_COMMANDS: tuple[tuple[str, str], ...] = (
    ("default", "curl -fsS https://example.test/feed | ./ingest"),
    ("default", "python etl.py --day 2026-01-{day:02}"),
    ("media", "ffmpeg -i in-{n}.mov -crf 23 out-{n}.mp4"),
    ("default", "./thumbs.sh {n}"),
    ("backup", "pg_dump prod | zstd > prod-{n}.sql.zst"),
    ("media", "yt-dlp --no-progress https://example.test/v/{n}"),
    ("default", "rsync -a --delete /srv/photos/ nas:/photos/"),
    ("backup", "restic backup ~/Documents --tag daily"),
)

JobMaker = Callable[[int], Job]


def make_job(job_id: int, state: State = State.PENDING, **fields: Any) -> Job:
    """Return a job that looks as real ones do; the same one for the same id."""
    queue, pattern = _COMMANDS[job_id % len(_COMMANDS)]
    job = Job(
        id=job_id,
        name=None,
        command=pattern.format(n=job_id % 997, day=1 + job_id % 28),
        queue=queue,
        priority=0,
        label=None,
        cwd=DIRECTORY,
        env={},
        max_attempts=3,
        timeout_s=None,
        backoff_base=2.0,
        ok_exit=None,
        dead_exit=None,
        state=state,
        run_at=None,
        attempts=0,
        interrupts=0,
        enqueued_at=NOW - timedelta(minutes=11, seconds=job_id % 60),
        since=NOW - timedelta(minutes=11, seconds=job_id % 60),
        started_at=None,
        finished_at=None,
        run_s=None,
        last_outcome=None,
        last_exit_code=None,
        last_signal=None,
        last_error=None,
    )
    return job._replace(**fields)


def pending(index: int) -> Job:
    """Return the waiting job on a line: a few due, one retrying, one scheduled, the rest due."""
    job_id = 10412 + index
    if index in (1, 6):
        return make_job(
            job_id,
            attempts=1,
            run_at=NOW + timedelta(seconds=14 + 40 * (index // 6)),
            last_outcome=Outcome.FAILED,
            last_exit_code=1,
            started_at=NOW - timedelta(seconds=20),
            finished_at=NOW - timedelta(seconds=18),
            run_s=2.41,
        )
    if index in (4, 9):
        return make_job(job_id, run_at=NOW + timedelta(hours=index, minutes=30))
    return make_job(job_id)


def running(index: int) -> Job:
    """Return the running job on a line."""
    seconds = (102, 12, 47, 3)[index % 4]
    return make_job(
        10408 + index,
        State.RUNNING,
        attempts=1 + index % 2,
        started_at=NOW - timedelta(seconds=seconds),
        since=NOW - timedelta(seconds=seconds),
    )


def completed(index: int) -> Job:
    """Return the completed (or, now and then, cancelled) job on a line, newest first."""
    job_id = 10407 - index
    ended = NOW - timedelta(seconds=2 + index * 7)
    if index % 9 == 5:
        return make_job(job_id, State.CANCELLED, since=ended, last_outcome=None)
    return make_job(
        job_id,
        State.COMPLETED,
        attempts=1,
        since=ended,
        started_at=ended - timedelta(seconds=3),
        finished_at=ended,
        run_s=0.2 + (job_id * 37 % 900) / 10,
        last_outcome=Outcome.SUCCEEDED,
        last_exit_code=0,
    )


def dead(index: int) -> Job:
    """Return the dead job on a line, newest first: each died of something else."""
    ended = NOW - timedelta(minutes=5 + index * 13)
    causes = (
        (Outcome.FAILED, 1, None, None, "ConnectionError: [Errno 111] Connection refused"),
        (Outcome.TIMED_OUT, None, None, "timed out", None),
        (Outcome.SIGNALLED, 139, 11, None, "Segmentation fault (core dumped)"),
        (Outcome.FAILED, 7, None, None, "curl: (7) Failed to connect to example.test port 443"),
        (Outcome.SPAWN_ERROR, None, None, "working directory /srv/gone does not exist", None),
    )
    outcome, code, signal, error, last_line = causes[index % len(causes)]
    job = make_job(
        9981 - index * 3,
        State.DEAD,
        name="nightly-import" if index % 6 == 1 else None,
        attempts=3,
        since=ended,
        started_at=ended - timedelta(seconds=2),
        finished_at=ended,
        run_s=2.41,
        last_outcome=outcome,
        last_exit_code=code,
        last_signal=signal,
        last_error=error,
        last_line=last_line,
    )
    if last_line is not None and last_line.startswith("ConnectionError"):
        return job._replace(command=f"python etl.py --day 2026-01-{26 - index:02}", queue="default")
    return job


def dead_groups() -> tuple[DeadGroup, ...]:
    """Return the groups that the dead jobs of a busy queue make, the largest first."""
    causes = (
        (0, 9, 3, ("default",), "ConnectionError: [Errno 111] Connection refused"),
        (2, 5, 120, ("media",), "Segmentation fault (core dumped)"),
        (1, 2, 26, ("backup", "default"), None),
        (3, 1, 0, ("default",), "curl: (7) Failed to connect to example.test port 443"),
    )
    groups = []
    for number, (index, jobs, minutes, queues, line) in enumerate(causes):
        job = dead(index)._replace(last_line=line, fingerprint=0x9F86D081884C7D65 + number - (1 << 64))
        hours = [0] * 24
        hours[-1], hours[-1 - 3 * number] = 1, jobs - 1 or 1
        first = job.since - timedelta(minutes=minutes)
        groups.append(DeadGroup(job.fingerprint, jobs, first, job.since, queues, tuple(hours), job))
    return tuple(groups)


MAKERS: dict[Pane, JobMaker] = {
    Pane.PENDING: pending,
    Pane.RUNNING: running,
    Pane.COMPLETED: completed,
    Pane.DLQ: dead,
}
BUSY_TOTALS = {Pane.PENDING: 12_482, Pane.RUNNING: 4, Pane.COMPLETED: 98_201, Pane.DLQ: 17}


def rows(pane: Pane, start: int, length: int, total: int) -> tuple[Row, ...]:
    """Return rows of a pane's list."""
    jobs = (MAKERS[pane](index) for index in range(start, min(start + length, total)))
    return tuple(Row((job.id,), job) for job in jobs)


def busy_snapshot() -> Snapshot:
    """Return a queue in the middle of a working day."""
    dice = random.Random(7)
    minutes = tuple(
        Minute(NOW - timedelta(minutes=59 - index), 900, good, dice.choice((0, 0, 4, 9)), 0, 100.0, 50.0)
        for index, good in enumerate(dice.randrange(300, 1200) for _ in range(60))
    )
    panes = {
        pane: PaneData(total, 0, rows(pane, 0, 120, total), View(states=pane.states))
        for pane, total in BUSY_TOTALS.items()
    }
    by_queue = {
        "default": {State.PENDING: 9_482, State.RUNNING: 2, State.COMPLETED: 80_000, State.DEAD: 12},
        "media": {State.PENDING: 2_000, State.RUNNING: 2, State.COMPLETED: 18_000, State.CANCELLED: 101, State.DEAD: 5},
        "backup": {State.PENDING: 1_000, State.COMPLETED: 100},
    }
    queues = (
        QueueInfo("backup", False, None, by_queue["backup"], 0),
        QueueInfo("default", False, None, by_queue["default"], 31),
        QueueInfo("media", False, 2, by_queue["media"], 0),
    )
    worker = WorkerInfo(3, 4711, "workstation", 4, (), NOW - timedelta(hours=2), True, None, 4)
    return Snapshot(
        taken_at=NOW,
        counts=Counts(by_queue, {"default": 31}),
        queues=queues,
        is_paused=False,
        workers=(worker,),
        minutes=minutes,
        rates=Rates(18.2, 0.012, 684.0),
        oldest_pending_at=NOW - timedelta(minutes=12),
        panes=panes,
        own_worker_id=3,
    )


def idle_snapshot() -> Snapshot:
    """Return a queue with nothing in it and a worker that waits."""
    worker = WorkerInfo(1, 4711, "workstation", 4, (), NOW, True, None, 0)
    panes = {pane: PaneData(0, 0, (), View(states=pane.states)) for pane in Pane}
    queue = QueueInfo("default", False, None, {}, 0)
    return empty_snapshot(NOW)._replace(workers=(worker,), queues=(queue,), panes=panes, own_worker_id=1)


class FixedOutput:
    """An output that is held in memory and never grows."""

    path: str | None = None

    def __init__(self, attempt: Attempt, data: bytes) -> None:
        self.attempt = attempt
        self.data = data

    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def lines(self, last: int) -> bytes:
        return b"\n".join(self.data.splitlines()[-last:])


_TRACEBACK = b"""\
loading 2026-01-26 from \x1b[36mwarehouse\x1b[0m
  14,203 rows read
  14,203 rows checked
Traceback (most recent call last):
  File "/home/ada/jobs/etl.py", line 214, in <module>
    main(parse_args())
  File "/home/ada/jobs/etl.py", line 188, in main
    upload(rows, target)
ConnectionError: [Errno 111] Connection refused
"""

_PROGRESS = b"""\
\x1b[1mrestic\x1b[0m 0.17.3 compiled with go1.23
repository 5f3a1c9e opened (version 2, compression level auto)
using parent snapshot \x1b[33m9b1c0f2d\x1b[0m
Files:          14 new,     3 changed, 51207 unmodified
Dirs:            2 new,     9 changed,  4411 unmodified
Added to the repository: 212.405 MiB (96.113 MiB stored)
processed 51224 files, 48.992 GiB in 0:41
snapshot \x1b[32mc2d4e6f8\x1b[0m saved
"""


def followed_lines() -> bytes:
    """Return what running jobs wrote, as it is followed, and how one that ran with them ended."""
    written = (
        (36, "10408", ("checked 4,200 of 14,203", "checked 4,400 of 14,203")),
        (
            33,
            "10409 nightly-import",
            ("frame=  812 fps= 61 q=28.0 size=    2304KiB", "\x1b[31mwarning:\x1b[0m no audio"),
        ),
        (35, "10407", ("snapshot c2d4e6f8 saved", "\x1b[1;32mended: exit 0 after 41s")),
        (36, "10408", ("\x1b[2m... 812 KB left out", "checked 9,800 of 14,203")),
    )
    lines = [f"\x1b[{colour}m{label:<20} |\x1b[0m {line}" for colour, label, each in written for line in each]
    return "".join(f"{line}\x1b[0m\n" for line in lines).encode()


def _written_by(job: Job) -> bytes:
    """Return the output of a job's newest attempt: it says what its row says, if that says anything."""
    if job.command.startswith("python") and job.state is not State.COMPLETED:
        day = job.command.rpartition(" ")[2].encode()
        told, _, fault = _TRACEBACK.replace(b"2026-01-26", day).partition(b"Traceback")
        return told + (b"  uploading, 4,200 of 14,203\n" if job.state is State.RUNNING else b"Traceback" + fault)
    if job.state is State.DEAD:
        return f"started in {job.cwd}\n{job.last_line or ''}".rstrip().encode() + b"\n"
    return _TRACEBACK if job.state is State.PENDING else _PROGRESS


def detail_of(job: Job) -> JobDetail:
    """Return what is shown of a job: an attempt for each it spent, and an output."""
    ended = job.state is not State.RUNNING
    data = _written_by(job)
    attempts = tuple(
        Attempt(
            id=job.id * 10 + number,
            job_id=job.id,
            number=number,
            worker_id=3,
            started_at=(job.started_at or NOW) - timedelta(minutes=2 * (job.attempts - number)),
            ended_at=(job.finished_at or NOW) if ended else None,
            run_s=2.41 if ended else None,
            outcome=job.last_outcome if ended else None,
            exit_code=job.last_exit_code if ended else None,
            signal=job.last_signal if ended else None,
            error=None,
            output_bytes=len(data) if ended else None,
            stop_requested=None,
            last_line=job.last_line if ended else None,
        )
        for number in range(1, job.attempts + 1)
    )
    history = (
        (Event(7, job.id, NOW - timedelta(minutes=9), "edit", {"priority": 5}),) if job.state is State.DEAD else ()
    )
    waiting = None
    if job.state is State.PENDING:
        retrying = Waiting(Phase.RETRYING, "retry in 00:14", job.run_at)
        waiting = retrying if job.run_at else Waiting(Phase.READY, "3 jobs of this queue come first", None)
    output = FixedOutput(attempts[-1], data) if attempts else None
    return JobDetail(job, attempts, history, waiting, attempts[-1].number if attempts else None, output)


def found_by(output: Readable | None, sought: str) -> Found | None:
    """Return what the gateway finds in an output."""
    if output is None or not sought:
        return None
    search = OutputLineSearch(output, sought)
    while not search.is_done:
        search.step()
    return search.found() if search.has_any else None


def tree_of(job: Job) -> Tree:
    """Return what waits for what around a job: it stands between steps that are done and steps that wait for it."""
    is_done = job.state is State.COMPLETED
    fetch = make_job(9960, State.COMPLETED, name="fetch", since=NOW - timedelta(minutes=31), last_exit_code=0)
    docs = make_job(
        9962, State.RUNNING, name="docs", started_at=NOW - timedelta(seconds=47), since=NOW - timedelta(seconds=47)
    )
    test = make_job(9991, name="test", blocks=1)
    publish = make_job(9992, name="publish", blocks=2)
    mirror = make_job(9993, blocks=1, command="rsync -a --delete build/ mirror:/srv/www/releases/2026-01-02/")
    edges = (
        Dependency(job.id, fetch.id, EdgeKind.COMPLETE, True),
        Dependency(docs.id, fetch.id, EdgeKind.COMPLETE, True),
        Dependency(test.id, job.id, EdgeKind.COMPLETE, is_done),
        Dependency(publish.id, docs.id, EdgeKind.COMPLETE, False),
        Dependency(publish.id, test.id, EdgeKind.COMPLETE, False),
        Dependency(mirror.id, publish.id, EdgeKind.END, False),
    )
    return Tree(job.id, {each.id: each for each in (job, fetch, docs, test, publish, mirror)}, edges)


def _schedule(name: str, when: str, next_s: int | None, command: str, **fields: Any) -> ScheduleInfo:
    info = ScheduleInfo(
        id=1,
        name=name,
        when=when,
        cron=when,
        every_s=None,
        zone="Europe/Berlin",
        missed="once",
        overlap="skip",
        is_paused=next_s is None,
        next_at=None if next_s is None else NOW + timedelta(seconds=next_s),
        added_at=NOW - timedelta(days=9),
        last_job_id=None,
        last_state=None,
        note=None,
        job=NewJob(command),
    )
    return info._replace(**fields)


def plan() -> Plan:
    """Return schedules that wait, run, died and are paused, and resources that are free, full, closed and never set."""
    schedules = (
        _schedule(
            "nightly", "0 2 * * *", 13 * 3600 + 1800, "./build --all", last_job_id=9960, last_state=State.COMPLETED
        ),
        _schedule("report", "0 6 * * MON", None, "./report --weekly", last_job_id=9702, last_state=State.CANCELLED),
        _schedule(
            "sync",
            "every 15m",
            252,
            "rsync -a --delete /srv/photos/ nas:/photos/",
            last_job_id=9981,
            last_state=State.DEAD,
            cron=None,
            every_s=900.0,
        ),
        _schedule(
            "warm-cache",
            "*/5 * * * *",
            61,
            "curl -fsS https://example.test/warm",
            last_job_id=10408,
            last_state=State.RUNNING,
            note="skipped: 10408 is unfinished",
        ),
    )
    resources = (
        ResourceInfo("db", 0, False, True, 0, 1, 10417, {}),
        ResourceInfo("gpu", 4, False, True, 3, 2, 10415, {10409: 2, 10410: 1}),
        ResourceInfo("license", 1, False, False, 1, 0, None, {10411: 1}),
        ResourceInfo("scratch", 100, True, True, 0, 0, None, {}),
    )
    return Plan(schedules, resources)


def compared(detail: JobDetail) -> JobDetail:
    """Return a detail with its output compared with that of the attempt before, which got one step further."""
    if detail.number is None or detail.number == 1 or detail.output is None:
        return detail
    before, after = detail.attempts[detail.number - 2 : detail.number]
    data = detail.output.read(0, detail.output.size())
    other = data.replace(b"Connection refused", b"Connection timed out").replace(b"[0m", b"[0m\nwarming up", 1)
    comparison = Comparison(before, after, compare(other, data))
    return detail._replace(output=ComparedOutput(comparison), compared_with=before.number)
