"""The findings of ``queuectl doctor``: what the engine says of its data, and what this host says of the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator

from core.errors import UsageError
from core.execution.shim import why_no_shell
from core.locks import is_locked
from core.model import Finding, Presence, State
from core.rules.lanes import given_twice, resource_infos
from core.rules.needs import are_there
from core.rules.occurrences import zone_of
from core.rules.settings import Settings, find_setting
from core.wording import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.storage.contract import Storage


def findings(storage: Storage) -> list[Finding]:
    """Return one or more findings for each check, in the order of the checks; changes nothing."""
    return [
        *storage.maintenance.check_data(),
        *_check_settings(storage),
        *_check_attempts(storage),
        *_check_outputs(storage),
        *_check_workers(storage),
        *_check_resources(storage),
        *_check_schedules(storage),
        *_check_leftovers(storage),
        *storage.maintenance.check_surroundings(),
    ]


def _check_settings(storage: Storage) -> Iterator[Finding]:
    bad = []
    stored = storage.settings.stored()
    for key, text in stored.items():
        try:
            find_setting(key).parse(text)
        except UsageError as error:
            bad.append(str(error))
    if bad:
        yield Finding(
            "warning", "settings", "; ".join(bad), "the default holds; set or unset it with 'queuectl config'"
        )
    shell = Settings(stored).shell
    reason = why_no_shell(shell, os.environ.get("PATH"))
    if reason is not None:
        yield Finding(
            "error",
            "shell",
            f"the shell {shell} of the setting 'shell' cannot be run: {reason}; every job fails",
            "name another with 'queuectl config set shell', or go back with 'queuectl config unset shell'",
        )


def _check_attempts(storage: Storage) -> Iterator[Finding]:
    workers = storage.workers.workers()
    alive = {worker.id for worker in workers if worker.is_alive}
    in_doubt = {worker.id for worker in workers if worker.presence in (Presence.HIDDEN, Presence.ELSEWHERE)}
    found = storage.attempts().open_elsewhere(0)
    orphans = [attempt.id for attempt in found if attempt.worker_id not in alive | in_doubt]
    doubtful = sum(attempt.worker_id in in_doubt for attempt in found)
    if doubtful:
        yield Finding(
            "warning",
            "in doubt",
            f"{doubtful} attempts may be running: the lock files of their workers are not in {storage.spool.workers}",
            "put the spool back where it was, or cancel their jobs when nothing of them runs any more",
        )
    if orphans:
        running = sum(is_locked(storage.spool.run_file(attempt_id)) for attempt_id in orphans)
        yield Finding(
            "warning",
            "orphans",
            f"{len(orphans)} attempts have no living worker ({running} of their commands still run)",
            "start a worker: it adopts them",
        )
    elif not doubtful:
        yield Finding("ok", "attempts", f"{len(found)} running, each with a living worker")


def _check_resources(storage: Storage) -> Iterator[Finding]:
    demand = storage.resources.demand()
    for info in resource_infos(demand):
        most = max((needs[info.name] for _, needs in demand.heads if info.name in needs), default=0)
        change = f"change that with 'queuectl resource set {info.name} {max(most, 1)}', or edit the jobs"
        if info.capacity == 0 and most:
            yield Finding("warning", "resources", f"{info.name} is closed, and jobs wait for it", change)
        elif most > info.capacity:
            there = are_there(info.capacity)
            yield Finding("warning", "resources", f"jobs wait for {info.name}={most}, and {there}: for ever", change)
    for name in given_twice(demand):
        yield Finding("error", "resources", f"two running jobs have the same unit of {name}", "report this as a bug")


def _check_outputs(storage: Storage) -> Iterator[Finding]:
    found = storage.outputs.kept_in_files()
    lost = sum(not os.path.exists(storage.spool.output_file(attempt_id)) for attempt_id in found)
    if lost:
        yield Finding(
            "warning",
            "outputs",
            f"{lost} outputs longer than 64 KiB are not in {storage.spool.attempts}",
            "copy the spool along with a database that you move or restore",
        )
    else:
        yield Finding("ok", "outputs", f"{len(found)} in files of their own, the others in the database")


def _check_workers(storage: Storage) -> Iterator[Finding]:
    found = storage.workers.workers()
    alive = sum(worker.is_alive for worker in found)
    if alive < len(found):
        yield Finding(
            "warning",
            "workers",
            f"{len(found) - alive} of {len(found)} workers are dead",
            "the next worker strikes them",
        )
    elif not alive and storage.queues.counts().of(State.PENDING):
        yield Finding("warning", "workers", "jobs wait and no worker is alive", "start one with 'queuectl worker'")
    else:
        yield Finding("ok", "workers", f"{alive} alive")


def _check_schedules(storage: Storage) -> Iterator[Finding]:
    """Return what keeps schedules from being kept: zones that this host does not know, workers that are not there."""
    found = storage.schedules.all()
    for schedule in found:
        try:
            zone_of(schedule.zone)
        except UsageError as error:
            advice = "install the package tzdata, or change it with 'queuectl schedule edit NAME --tz ZONE'"
            yield Finding("error", "schedules", f"{schedule.name}: {error}", advice)
    due = [schedule for schedule in found if schedule.next_at is not None]
    if not due:
        return
    if not any(worker.is_alive for worker in storage.workers.workers()):
        text = f"{count(len(due), 'schedule')}, and no worker is alive: what is due is not added"
        yield Finding("warning", "schedules", text, "start one with 'queuectl worker'")
    else:
        yield Finding("ok", "schedules", f"{count(len(due), 'schedule')}")


def _check_leftovers(storage: Storage) -> Iterator[Finding]:
    paths = storage.maintenance.leftovers()
    if paths:
        yield Finding("warning", "leftovers", f"{len(paths)} files in the spool", "the next worker removes them")
    else:
        yield Finding("ok", "leftovers", "none in the spool")
