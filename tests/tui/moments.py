"""Moments of the dashboard that tests compare and pictures show: a scene, and the keys that lead there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.model import Presence, QueueInfo, State
from core.rules.estimates import ReportedProgress
from queuectl_tui.preferences import Preferences
from queuectl_tui.snapshot import Plan, RunProgress, Snapshot
from tests.tui.harness import Stage
from tests.tui.scene import busy_snapshot, idle_snapshot, plan

SIZES = ((80, 24), (120, 40), (200, 60))
#: Where parts of the screen come and go.
OTHER_SIZES = ((60, 18), (160, 50), (250, 80))


@dataclass(frozen=True, slots=True)
class Moment:
    """``keys`` are pressed one by one; a word in quotes is typed."""

    scene: Callable[[], Snapshot]
    keys: tuple[str, ...] = ()
    planned: Callable[[], Plan] = Plan

    async def reach(self, stage: Stage) -> None:
        """Press the keys."""
        stage.gateway.planned = self.planned()
        for key in self.keys:
            if key.startswith("'"):
                await stage.type(key.strip("'"))
            else:
                await stage.press(key)
        await stage.be_whole()
        await stage.pilot.pause(0.2)


def paused_snapshot() -> Snapshot:
    """Return everything paused, and one queue paused besides."""
    busy = busy_snapshot()
    queues = tuple(
        QueueInfo(queue.name, queue.name == "media", queue.limit, queue.counts, queue.delayed) for queue in busy.queues
    )
    return busy._replace(is_paused=True, queues=queues)


def progress_snapshot() -> Snapshot:
    """Return a queue whose running jobs say how far they are; the last runs of most of them are known."""
    known = (
        RunProgress(ReportedProgress(0.62, "62%"), 180.0, 20),
        RunProgress(ReportedProgress(3 / 17, "3/17")),
        RunProgress(None, 40.0, 3),
    )
    return busy_snapshot()._replace(progress={10408 + index: told for index, told in enumerate(known)})


def working_snapshot() -> Snapshot:
    """Return a busy queue, half of whose running jobs say how far they are, one of them as its output does."""
    known = {
        10409: RunProgress(ReportedProgress(4200 / 14203, "4,200/14,203"), 40.0, 20),
        10410: RunProgress(ReportedProgress(0.62, "62%"), 75.0, 20),
    }
    return busy_snapshot()._replace(progress=known)


def broken_snapshot() -> Snapshot:
    """Return the last good data of a queue whose file is gone."""
    return busy_snapshot()._replace(error="/home/ada/jobs.db was deleted or moved; nothing is read or run any more")


def queues_snapshot() -> Snapshot:
    """Return queues that are open, full and paused, with their rates, and workers that live, stop and died."""
    busy = busy_snapshot()
    full, *others = busy.queues
    queues = (
        full._replace(limit=full.counts.get(State.RUNNING, 0)),
        *others,
        QueueInfo("nightly", True, 2, {State.PENDING: 1204, State.DEAD: 3}, 1000, on_lost_host="hold"),
    )
    first = busy.workers[0]
    workers = (
        first,
        first._replace(id=7, pid=81, host="render-2", queues=("media", "mail"), stop_requested="drain"),
        first._replace(id=9, pid=4711, host="render-3", running=0, is_alive=False, presence=Presence.DEAD),
    )
    rates = {full.name: 12.5, "nightly": 0.05}
    return busy._replace(queues=queues, workers=workers, queue_rates=rates, own_worker_id=first.id)


MOMENTS: Mapping[str, Moment] = {
    "empty": Moment(idle_snapshot),
    "busy": Moment(busy_snapshot),
    "filtered": Moment(busy_snapshot, ("3", "/", "'restic'")),
    "marked": Moment(busy_snapshot, ("4", "space", "space", "j", "v", "j", "j")),
    "groups": Moment(busy_snapshot, ("4", "t", "j")),
    "confirm": Moment(busy_snapshot, ("4", "space", "space", "space", "d")),
    "help": Moment(busy_snapshot, ("?",)),
    "palette": Moment(busy_snapshot, ("4", ":", "'queue'")),
    "columns": Moment(busy_snapshot, ("4", "|", "j", "space", "J")),
    "tree": Moment(busy_snapshot, ("4", "enter", "]", "]", "]", "j", "j")),
    "compared": Moment(busy_snapshot, ("4", "5", "=")),
    "paused": Moment(paused_snapshot, ("2",)),
    "progress": Moment(progress_snapshot, ("2",)),
    "error": Moment(broken_snapshot),
    "queues": Moment(queues_snapshot, ("7", "j")),
    "workers": Moment(queues_snapshot, ("8",)),
    "plan": Moment(busy_snapshot, ("9", "j"), plan),
    "resources": Moment(busy_snapshot, ("9", "l", "j"), plan),
    "follow": Moment(busy_snapshot, ("2", "F")),
    "found": Moment(busy_snapshot, ("4", "/", "'output:ROWS'", "enter", "6")),
}

#: What the pictures show beside the moments that tests compare.
PICTURES: Mapping[str, Moment] = {
    "busy": Moment(working_snapshot, ("2", "j")),
    "dlq": Moment(busy_snapshot, ("4",)),
    "groups": Moment(busy_snapshot, ("4", "t")),
    "tree": MOMENTS["tree"],
    "plan": MOMENTS["plan"],
    "enqueue": Moment(busy_snapshot, ("e", "'ffmpeg -i holiday.mov -crf 23 holiday.mp4'")),
    "empty": Moment(idle_snapshot),
}

#: Preferences under which two runs look the same.
CALM = Preferences(theme="queuectl-dark", first_pane="pending")
