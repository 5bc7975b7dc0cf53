"""The worker: one thread, one loop, N slots.

One step of the loop collects what ended, records all of it and claims what there is room for in one transaction, and
starts that. Between steps it sleeps until a command ends, it is woken, a time it waits for comes, or another process
commits.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Sequence
from enum import Enum

from core.clock import CalendarWatch
from core.errors import DatabaseClosed, DatabaseCorrupt, DatabaseReplaced, QueueError, UsageError
from core.execution import events
from core.execution.command import check_descriptors, keep_descriptors_from_commands
from core.execution.host_keeping import HostKeeping
from core.execution.own_registration import OwnRegistration
from core.execution.recovery import Recovery, reap_if_init
from core.execution.running_attempts import RunningAttempts
from core.execution.selector import Selector
from core.execution.spawn_limit import SpawnLimit
from core.execution.storage_state import StorageState
from core.execution.timers import Due, Timers
from core.queue import Queue
from core.rules.arguments import check_kind, check_texts, check_whole
from core.storage.values import ClaimCapacity, StepTerms

_LOG = logging.getLogger("queuectl.worker")

#: How much of the database a worker keeps in memory, in KiB: half of SQLite's default; a step reads a dozen pages.
CACHE_KIB = 1000
#: How many jobs one step claims at the most: each holds three files open until its command has started.
CLAIMS_AT_ONCE = 64
#: After so many failed steps in a row the worker gives up its lock, so that others adopt its commands.
MAX_FAILED_STEPS = 20
#: After how long a running command has its host have a keeper, in seconds; shorter ones are not worth a process.
KEEPER_AFTER_S = 5.0
#: How long it sleeps after a step that failed for an unforeseen reason, in seconds.
_FAILED_STEP_S = 0.5


class StopMode(str, Enum):
    """How to stop: let commands finish, end them (TERM, grace, KILL), or leave them to the next worker."""

    DRAIN = "drain"
    NOW = "now"
    DETACH = "detach"


_STRENGTH = {StopMode.DRAIN: 1, StopMode.NOW: 2, StopMode.DETACH: 3}


class _Slots:
    """The slots of one worker: how many it has, for which queues, how many may be in use; and whether to ask for jobs.

    ``registered`` is the number that others see. ``may_find_jobs`` is false once a claim found fewer jobs than it had
    room for, until something changes.
    """

    def __init__(self, count: int, queues: Sequence[str]) -> None:
        self.count = self.registered = count
        self.queues = queues
        self.limit = SpawnLimit()
        self.may_find_jobs = True

    def free(self, live: int, now_s: float) -> int:
        """Return how many jobs could be claimed beside ``live`` commands."""
        return max(0, min(self.limit.of(self.count, now_s) - live, CLAIMS_AT_ONCE))


class _Stopping:
    """Whether and how a worker is to stop: in a ``mode`` that it was asked for, or by itself, once it has drained.

    ``has_drained`` returns whether it has; without it a worker goes on when it has nothing to do.
    """

    def __init__(self, has_drained: Callable[[], bool] | None) -> None:
        self.mode: StopMode | None = None
        self.announced: StopMode | None = None
        self.has_drained = has_drained

    def ask(self, mode: StopMode) -> None:
        """Ask for a stop; a stronger mode replaces a weaker one."""
        if self.mode is None or _STRENGTH[mode] > _STRENGTH[self.mode]:
            self.mode = mode


class _Changes:
    """What a worker has seen of the database; ``must_look`` asks it to look again, whatever the version says."""

    def __init__(self) -> None:
        self.must_look = True
        self.calendar = CalendarWatch()
        self._version = -1

    def are_there(self, version: int) -> bool:
        """Return whether to look at what others have changed, given the database's version; then it counts as seen."""
        if version == self._version and not self.must_look:
            return False
        self._version = version
        self.must_look = False
        return True


class Worker:
    """Runs a queue's jobs, up to ``slots`` at once; of all queues, or of the ``queues`` named.

    With ``drain`` it ends when every job it may run has completed, died or been cancelled, retries included; not waited
    for are jobs that a user scheduled for later and jobs of a queue that is paused or has a limit of 0. With ``once``
    it ends when nothing runs and nothing is due. Both together raise ``UsageError``. ``on_event`` is called in the
    worker's thread with the facts of ``core.execution.events``; it must be quick and must not raise.

    A process that is forked off while a worker runs has no part in it: there the worker is not alive, and its lock is
    not held.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        slots: int = 1,
        queues: Sequence[str] = (),
        drain: bool = False,
        once: bool = False,
        on_event: Callable[[events.WorkerEvent], None] | None = None,
    ) -> None:
        check_kind(queue, "queue", Queue, "a Queue")
        check_whole(slots, "slots")
        if drain and once:
            raise UsageError("drain and once exclude each other: give one of them")
        self.error: BaseException | None = None
        self._queue = queue
        storage = queue.storage
        self._on_event = on_event or (lambda event: None)
        self._slots = _Slots(slots, check_texts(queues, "queues"))
        has_drained = storage.drain(self._slots.queues).is_over if drain else None
        self._stopping = _Stopping((lambda: True) if once else has_drained)
        self._changes = _Changes()
        self._timers = Timers()
        self._selector = Selector()
        self._attempts = storage.attempts()
        self._running = RunningAttempts(storage, self._attempts, self._selector, self._emit)
        host = HostKeeping(storage, lambda: self._running.settings.kill_grace_s, self._emit)
        self._running.fenced = host.stopped
        self._registration = OwnRegistration(storage, self._selector, host)
        self._recovery = Recovery(storage, self._attempts, self._emit)
        self._storage_state = StorageState(self._emit)
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    # --- from any thread

    @property
    def id(self) -> int:
        """The number of this worker in the register; 0 before it has started."""
        return self._registration.id

    @property
    def slots(self) -> int:
        """How many commands may run at once; a new number counts from the next step on, running ones go on."""
        return self._slots.count

    @slots.setter
    def slots(self, slots: int) -> None:
        self._slots.count = max(0, slots)
        self.wake()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs, in this process: one that was forked off has no part in it."""
        return self.id != 0 and not self._ended.is_set() and not self._registration.is_elsewhere()

    @property
    def trouble(self) -> str | None:
        """What keeps this worker from recording results, from starting commands, or from adopting those of the dead.

        ``None`` while all is well.
        """
        error = self._storage_state.error
        return str(error) if error is not None else self._slots.limit.refusal or self._recovery.blocked or None

    @property
    def unrecorded_count(self) -> int:
        """How many results wait to be recorded: of commands that ended while the database could not be written."""
        return len(self._running.endings)

    @property
    def running_count(self) -> int:
        """How many attempts are this worker's now: their commands run, or their endings are not recorded yet."""
        return len(self._running)

    def start(self) -> None:
        """Run the loop in a daemon thread of its own; return once the worker is registered."""
        self._register()
        self._thread = threading.Thread(target=self._run_registered, name="queuectl-worker", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Run the loop in this thread until it is stopped or has drained; raise what ended it early."""
        self._register()
        self._run_registered()
        if self.error is not None:
            raise self.error

    def stop(self, mode: StopMode = StopMode.DRAIN) -> None:
        """Ask the loop to end; a stronger mode replaces a weaker one. Safe in a signal handler."""
        self._stopping.ask(mode)
        self.wake()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the loop has ended; return whether it has."""
        if self._registration.is_elsewhere():
            return True
        if not self._ended.wait(timeout_s):
            return False
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        return True

    def wake(self) -> None:
        """Have the loop look at the database now. Safe in a signal handler."""
        if self._registration.is_elsewhere():
            return
        self._changes.must_look = True
        self._selector.wake()

    # --- the loop

    def _register(self) -> None:
        if self.id:
            raise UsageError("this worker was started already; make another one")
        check_descriptors()
        keep_descriptors_from_commands()
        try:
            self._registration.register(self._slots.registered, self._slots.queues, self._queue.settings())
        except BaseException:
            self._selector.close()
            raise

    def _run_registered(self) -> None:
        self._emit(events.WorkerStarted(self.id, self._slots.count))
        failures = 0
        try:
            self._queue.storage.limit_cache(CACHE_KIB)
            while True:
                try:
                    if self._step():
                        break
                    failures = 0
                except QueueError as error:
                    self._changes.must_look = True  # what was seen of the database may not have been acted on
                    self._timers.failed(self._now_s(), self._storage_state.failed(error))
                    if self._is_hopeless(error):
                        self.error = error
                        break
                except Exception as error:
                    failures += 1
                    self._changes.must_look = True
                    _LOG.exception("a step of the worker failed")
                    self._emit(events.LoopFailed(error))
                    if failures >= MAX_FAILED_STEPS:
                        self.error = error
                        break
                if self._stopping.mode is not StopMode.DETACH:
                    self._sleep(_FAILED_STEP_S if failures else self._sleep_s())
        finally:
            self._leave()

    def _step(self) -> bool:
        """Do one step; return whether the worker is done."""
        # first what needs no database: it goes on while the storage is in trouble
        self._announce_stop()
        if self._stopping.mode is StopMode.DETACH:
            return True
        host = self._registration.host
        self._running.collect(is_stopping=lambda: self._stopping.mode is not None or host.is_ending_commands)
        now_s = self._now_s()
        if now_s >= host.next_look_s:
            self._running.endings.update({ended[0].attempt_id: ended for ended in host.keep(self._running.settings)})
        due = self._timers.due(now_s, self._queue.storage.now_ms())
        if due.look or self._changes.must_look:
            self._look_for_changes(now_s)
        self._do_timed(due, now_s)
        if self._running.give_back_refused():
            self._pause(os.strerror(errno.EAGAIN))
        free = self._free_slots(now_s, is_job_due=due.delayed_job)
        if self._running.endings or free > 0 or due.delayed_job:
            self._record_and_claim(now_s, free, due)
        elif self._storage_state.error is not None:
            self._sync()  # a write that shows whether the trouble is over
        if self._timers.is_sync_due(now_s, is_idle=not self._running.live_count()):
            self._sync()
        return self._is_done()

    def _announce_stop(self) -> None:
        mode = self._stopping.mode
        if mode is None or mode is self._stopping.announced:
            return
        self._stopping.announced = mode
        if len(self._running):
            with contextlib.suppress(QueueError):  # it stops all the same
                self._queue.storage.workers.note_stop(self.id, "now" if mode is StopMode.NOW else "drain")
        self._emit(events.WorkerStopping(mode.value, len(self._running)))
        if mode is StopMode.NOW:
            self._running.interrupt_all()

    def _look_for_changes(self, now_s: float) -> None:
        storage, slots = self._queue.storage, self._slots
        self._timers.looking(now_s, storage.changes.look_s)  # a busy worker makes a thousand steps a second
        if self._changes.calendar.look(storage.clock):
            self._attempts.shorten_backoffs()
            self._queue.storage.schedules.renew()
            self._changes.calendar.was_set_back = False
            slots.may_find_jobs = True
        if not self._changes.are_there(storage.changes.version()):
            return
        slots.may_find_jobs = True
        self._running.settings = self._queue.settings()
        asked = storage.workers.requested_stop(self.id)
        if asked is not None:
            self._stopping.ask(StopMode(asked))
        for attempt_id, how in self._attempts.stop_requests(self.id).items():
            self._running.cancel(attempt_id, is_kill=how == "kill")
        if slots.count != slots.registered:
            slots.registered = slots.count
            storage.workers.set_slots(self.id, slots.registered)

    def _recover(self, now_s: float) -> None:
        self._timers.recovering(now_s)
        if self._registration.restore():
            self._emit(events.LockFileRemoved(self._queue.storage.spool.root, self._running.live_count()))
        if self._running.has_run_for(KEEPER_AFTER_S, now_s):
            self._registration.host.need_keeper()
        reap_if_init()
        if self._stopping.mode is None:  # one that is about to go adopts nothing more
            for adopted in self._recovery.adopt_from_the_dead(self.id):
                self._running.adopt(adopted)
        self._recovery.clear_away(self.id)

    def _do_timed(self, due: Due, now_s: float) -> None:
        """Do what is due by the clock and is no part of a step's transaction."""
        if due.recovery:
            self._recover(now_s)
        if due.recovery or due.schedule:
            self._tick()
        if due.pruning:
            self._prune(now_s)

    def _tick(self) -> None:
        """Add the jobs of the schedules that are due; see when the next one is."""
        self._timers.scheduling(None)
        storage = self._queue.storage
        next_at = storage.queues.next_schedule_at()
        if next_at is not None and next_at <= storage.now_ms() and self._stopping.mode is None:
            if storage.schedules.tick():
                self._slots.may_find_jobs = True
            next_at = storage.queues.next_schedule_at()
            if next_at is not None and next_at <= storage.now_ms():
                return  # more than one tick decides about, or a zone that is not known: with the next look
        self._timers.scheduling(next_at)

    def _prune(self, now_s: float) -> None:
        """Remove a chunk of what is too old for the settings."""
        self._timers.pruning(now_s, has_more=True)
        has_more = (
            self._stopping.mode is None and self._queue.storage.maintenance.prune_some(self._running.settings) > 0
        )
        self._timers.pruning(now_s, has_more=has_more)

    def _free_slots(self, now_s: float, *, is_job_due: bool = False) -> int:
        """Return how many jobs to claim in this step."""
        if self._stopping.mode is not None or not self._registration.host.allows_start:
            return 0
        if self._storage_state.is_full and self._running.endings:
            return 0  # the room that is left is for what is known
        # recorded endings free their slots and may free a queue's limit, so they make it worth asking
        if not (self._slots.may_find_jobs or self._running.endings or is_job_due):
            return 0
        return self._slots.free(self._running.live_count(), now_s)

    def _record_and_claim(self, now_s: float, free: int, due: Due) -> None:
        """Record what ended and claim up to ``free`` jobs in one transaction, then start these."""
        running, slots = self._running, self._slots
        is_durable = running.settings.is_fully_durable or due.sync
        terms = StepTerms(running.settings, is_durable, is_rolled_up=is_durable or due.roll_up)
        endings = list(running.endings.values())
        try:
            capacity = ClaimCapacity(self.id, free, slots.queues)
            done = self._attempts.record_and_claim(endings, capacity, running.open, terms)
        except BaseException:
            running.discard_opened()
            raise
        self._storage_state.works()
        self._timers.stepped(
            now_s,
            is_durable=terms.is_durable,
            is_rolled_up=terms.is_rolled_up,
            has_written=bool(done.recorded or done.claimed),
            delayed_job_at_ms=done.next_due_ms,
        )
        if free > 0:
            # fewer than asked for: nothing more to claim until something changes
            slots.may_find_jobs = len(done.claimed) == free
        slots.limit.ended(len(done.recorded), running.live_count())
        try:
            running.announce_recorded(done.recorded)
            with self._registration.host.starting() as may_start:
                refusal = running.start(done.claimed, may_start=may_start) or done.refusal
        finally:
            running.forget_recorded(endings, done.recorded)
        if refusal is not None:
            self._pause(os.strerror(refusal.errno or 0))
        elif free > 0:
            slots.limit.unrefused(len(done.claimed), len(done.recorded), now_s)

    def _pause(self, reason: str) -> None:
        """Claim no more for a while than the system has room for; ask again then."""
        self._slots.may_find_jobs = True
        if self._slots.limit.refused(reason, self._running.live_count(), self._now_s()):
            self._emit(events.SpawningPaused(reason, self._slots.limit.pause_s))

    def _sync(self) -> None:
        self._attempts.make_durable()
        self._timers.synced()
        self._storage_state.works()

    def _is_done(self) -> bool:
        if len(self._running):
            return False
        if self._stopping.mode is not None:
            return True
        if self._stopping.has_drained is None:
            return False
        # without a slot nothing can be claimed: such a worker only sees adopted commands to their end
        if self._slots.count == 0:
            return True
        if self._slots.limit.pause_s or self._slots.may_find_jobs or self._is_job_due():
            return False
        return self._stopping.has_drained()

    def _is_hopeless(self, error: QueueError) -> bool:
        """Return whether to leave although the storage fails: the results are in the run files, for the next worker."""
        if isinstance(error, DatabaseClosed):
            return True  # it never works again; what runs is for the next worker
        if self._running.has_live():
            return False
        return self._stopping.mode is not None or isinstance(error, (DatabaseReplaced, DatabaseCorrupt))

    # --- sleeping and leaving

    def _now_s(self) -> float:
        return self._queue.storage.clock.monotonic_s()

    def _is_job_due(self) -> bool:
        return self._timers.due(self._now_s(), self._queue.storage.now_ms()).delayed_job

    def _sleep(self, seconds: float) -> None:
        ready = self._selector.wait(seconds)
        if self._registration.was_woken(ready):
            self._changes.must_look = True
        self._running.announce(ready)

    def _sleep_s(self) -> float:
        """Return how long this worker can sleep, as far as it knows itself."""
        now_s = self._now_s()
        if self._stopping.mode is not self._stopping.announced:
            return 0.0
        if self._storage_state.error is None and self._slots.may_find_jobs and self._free_slots(now_s) > 0:
            return 0.0
        return self._timers.sleep_s(
            now_s,
            self._queue.storage.now_ms(),
            is_idle=not self._running.live_count(),
            command_s=min(self._running.next_look_s(now_s), self._registration.host.next_look_s - now_s),
        )

    def _leave(self) -> None:
        """Give up the lock: what still runs is for others to adopt."""
        if self._registration.is_elsewhere():
            return
        detached = len(self._running)
        try:
            if self.error is None:
                if self._timers.has_unsynced:
                    self._attempts.make_durable()
                self._queue.storage.workers.forget(self.id)
        except QueueError as error:
            self._emit(events.StorageTrouble(str(error)))
        finally:
            self._running.detach()
            self._registration.close()
            self._queue.storage.close_thread()
            self._selector.close()
            self._ended.set()
            self._emit(events.WorkerStopped(self.id, detached))

    def _emit(self, event: events.WorkerEvent) -> None:
        try:
            self._on_event(event)
        except Exception:
            _LOG.exception("a listener of the worker failed")
        if self._registration.is_elsewhere():
            raise SystemExit("a listener of the worker forked, and this is the child: the worker is its parent's")
