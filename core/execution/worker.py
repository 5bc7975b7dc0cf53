"""The worker: one thread, one loop, N slots.

One turn of the loop collects what ended, records all of it and claims what there is room for in one transaction, and
starts that. Between turns it sleeps until a command ends, somebody wakes it, a time it waits for comes, or another
process commits.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from enum import Enum

from core.clock import CalendarWatch
from core.errors import DatabaseClosed, DatabaseCorrupt, DatabaseReplaced, QueueError, UsageError
from core.execution import events
from core.execution.command import RunFile, check_descriptors, keep_descriptors_from_commands
from core.execution.presence import Presence
from core.execution.recovery import Recovery, reap_if_init, remove_leftovers, strike_dead_workers
from core.execution.running_attempts import RunningSet
from core.execution.selector import Waiter
from core.execution.spawn_limit import Starter
from core.execution.storage_state import StorageState
from core.model import Ending
from core.queue import Queue
from core.rules.arguments import check_kind, check_texts, check_whole
from core.storage.sqlite import workers
from core.storage.sqlite.attempts import Attempts, Claim, ClaimCapacity, StepResult, StepTerms
from core.storage.sqlite.draining import Drain
from core.storage.sqlite.maintenance import prune_some

_LOG = logging.getLogger("queuectl.worker")

#: How often a worker looks whether another process has committed, in seconds. Who has news for it rings its bell; this
#: is for what is no news to most (a result that frees a place in a limited queue) and for programs that know no bells.
LOOK_S = 0.05
#: How often dead workers are looked for, in seconds.
RECOVER_S = 1.0
#: How often a worker looks for jobs to prune, in seconds.
PRUNE_S = 300.0
#: How long a busy worker's results go without a sync, in seconds: the promised second, less the time that it takes.
SYNC_S = 0.7
#: How soon a worker that fell idle syncs, in seconds.
IDLE_SYNC_S = 0.05
#: How often a busy worker writes its rollups, in seconds: a chart by the second must not show when it does.
ROLL_UP_S = 0.2
#: How much of the database a worker keeps in memory, in KiB: half of SQLite's default; a turn reads a dozen pages.
CACHE_KIB = 1000
#: After so many failed turns in a row the worker gives up its lock, so that others adopt its commands.
MAX_FAILED_TURNS = 20


class StopMode(str, Enum):
    """How to stop: let commands finish, end them (TERM, grace, KILL), or leave them to the next worker."""

    DRAIN = "drain"
    NOW = "now"
    DETACH = "detach"


_STRENGTH = {StopMode.DRAIN: 1, StopMode.NOW: 2, StopMode.DETACH: 3}


class Worker:
    """Runs a queue's jobs, up to ``slots`` at once; of all queues, or of the ``queues`` named.

    With ``drain`` it ends when every job it may run has completed, died or been cancelled, retries included; not waited
    for are jobs that a person scheduled for later and jobs of a queue that is paused or has a limit of 0. With ``once``
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
        self.id = 0
        self.error: BaseException | None = None
        self._queue = queue
        self._db = queue.database
        self._slots = slots
        self._queues = check_texts(queues, "queues")
        self._is_ending = drain or once
        self._drain = Drain(self._db, self._queues) if drain else None
        self._on_event = on_event or (lambda event: None)
        self._stop_mode: StopMode | None = None
        self._announced_stop: StopMode | None = None
        self._waiter = Waiter()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._presence = Presence(self._db, self._waiter)
        self._attempts = Attempts(self._db)
        self._running = RunningSet(self._db, self._attempts, self._waiter, self._emit)
        self._starter = Starter(self._db, self._attempts, self._running, self._emit)
        self._calendar = CalendarWatch()
        self._is_looking = True
        self._could_claim = True
        self._is_first_recovery = True
        self._recovery = Recovery(self._db, self._attempts, self._emit)
        self._prune_at = 0.0
        self._has_more_due = False
        self._next_due_ms: int | None = None
        self._data_version = -1
        self._look_at = 0.0
        self._recover_at = 0.0
        self._unsynced_since: float | None = None
        self._roll_up_at = 0.0
        self._storage = StorageState(self._emit)
        self._registered_slots = slots

    # --- from any thread

    @property
    def slots(self) -> int:
        """How many commands may run at once; setting it takes effect at the next turn, running ones go on."""
        return self._slots

    @slots.setter
    def slots(self, slots: int) -> None:
        self._slots = max(0, slots)
        self.wake()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs, in this process: one that was forked off has no part in it."""
        return self.id != 0 and not self._ended.is_set() and not self._presence.is_elsewhere()

    @property
    def trouble(self) -> str | None:
        """What ails this worker, for as long as it does; else ``None``.

        That is what keeps it from recording results, from starting commands, or from taking over those of others.
        """
        error = self._storage.error
        return str(error) if error is not None else self._starter.refusal or self._recovery.blocked or None

    @property
    def unrecorded_count(self) -> int:
        """How many results wait to be recorded: of commands that ended while the database could not be written."""
        return len(self._running.endings)

    @property
    def running_count(self) -> int:
        """How many commands this worker watches now."""
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
        if self._stop_mode is None or _STRENGTH[mode] > _STRENGTH[self._stop_mode]:
            self._stop_mode = mode
        self.wake()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the loop has ended; return whether it has."""
        if self._presence.is_elsewhere():
            return True
        if not self._ended.wait(timeout_s):
            return False
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        return True

    def wake(self) -> None:
        """Have the loop look at the database now."""
        if self._presence.is_elsewhere():
            return
        self._is_looking = True
        self._waiter.wake()

    # --- the loop

    def _register(self) -> None:
        if self.id:
            raise UsageError("this worker was started already; make another one")
        check_descriptors()
        keep_descriptors_from_commands()
        self._presence.register(self._slots, self._queues)
        self.id = self._presence.id

    def _run_registered(self) -> None:
        self._emit(events.WorkerStarted(self.id, self._slots))
        failures = 0
        try:
            self._db.set_cache(CACHE_KIB)
            while True:
                try:
                    if self._turn():
                        break
                    failures = 0
                except QueueError as error:
                    self._is_looking = True  # what was seen of the database may not have been acted on
                    self._storage.failed(error)
                    if self._is_hopeless(error):
                        self.error = error
                        break
                except Exception as error:
                    failures += 1
                    self._is_looking = True
                    _LOG.exception("a turn of the worker failed")
                    self._emit(events.LoopFailed(error))
                    if failures >= MAX_FAILED_TURNS:
                        self.error = error
                        break
                if self._stop_mode is not StopMode.DETACH:
                    self._sleep(0.5 if failures else None)
        finally:
            self._leave()

    def _turn(self) -> bool:
        """Do one turn; return whether the worker is done."""
        # first what needs no database: it goes on while the storage is in trouble
        self._announce_stop()
        if self._stop_mode is StopMode.DETACH:
            return True
        self._running.collect(is_told_to_stop=self._stop_mode is not None)
        self._look_for_changes()
        if self._db.clock.monotonic_s() >= self._recover_at:
            self._recover()
        if self._starter.give_back_refused():
            self._could_claim = True
        free = self._free_slots()
        if self._running.endings or free > 0 or self._has_more_due or self._is_due():
            self._transact(free)
        elif self._storage.error is not None:
            self._sync()  # a write that tells whether the trouble is over
        self._sync_if_needed()
        return self._is_done()

    def _look_for_changes(self) -> None:
        now = self._db.clock.monotonic_s()
        if now < self._look_at and not self._is_looking:
            return  # a busy worker turns a thousand times a second
        self._look_at = now + LOOK_S
        if self._calendar.look(self._db.clock):
            self._attempts.shorten_backoffs()
            self._calendar.was_set_back = False
            self._could_claim = True
        version = self._db.data_version()
        if version != self._data_version or self._is_looking:
            self._data_version = version
            self._is_looking = False
            self._could_claim = True
            settings = self._queue.settings()
            self._running.settings = settings
            asked = workers.requested_stop(self._db, self.id)
            if asked is not None:
                self.stop(StopMode(asked))
                self._is_looking = False
            for attempt_id, how in self._attempts.stop_requests(self.id).items():
                self._running.cancel(attempt_id, is_kill=how == "kill")
            if self._slots != self._registered_slots:
                self._registered_slots = self._slots
                workers.set_slots(self._db, self.id, self._slots)

    def _free_slots(self) -> int:
        """Return how many jobs to claim in this turn."""
        if self._stop_mode is not None:
            return 0
        if self._storage.is_full and self._running.endings:
            return 0  # the room that is left is for what is known
        # recorded endings free their slots and may free a queue's limit, so they make it worth asking
        if not (self._could_claim or self._running.endings or self._is_due()):
            return 0
        return self._starter.free(self._slots)

    def _is_due(self) -> bool:
        return self._next_due_ms is not None and self._next_due_ms <= self._db.clock.now_ms()

    def _transact(self, free: int) -> None:
        opened: dict[int, RunFile] = {}
        endings = list(self._running.endings.values())

        def before_commit(claim: Claim) -> None:
            opened[claim.attempt_id] = self._running.open_run(claim)

        now = self._db.clock.monotonic_s()
        is_durable = self._running.settings.is_fully_durable or self._is_sync_due(now, SYNC_S)
        is_rolled_up = is_durable or now >= self._roll_up_at
        try:
            turn = self._attempts.record_and_claim(
                endings,
                ClaimCapacity(self.id, free, self._queues),
                before_commit,
                StepTerms(self._running.settings, is_durable, is_rolled_up),
            )
        except BaseException:
            for run in opened.values():
                run.discard()
            raise
        self._storage.works()
        if is_rolled_up:
            self._roll_up_at = now + ROLL_UP_S
        if is_durable:
            self._unsynced_since = None
        elif (turn.recorded or turn.claimed) and self._unsynced_since is None:
            self._unsynced_since = now
        for attempt_id in set(opened) - {claim.attempt_id for claim in turn.claimed}:
            opened[attempt_id].discard()
        self._follow(turn, free, endings, opened)

    def _follow(
        self, turn: StepResult, free: int, endings: Sequence[tuple[Claim, Ending]], opened: dict[int, RunFile]
    ) -> None:
        """Act on what a transaction did: start what was claimed, forget and tell what was recorded."""
        self._next_due_ms, self._has_more_due = turn.next_due_ms, turn.has_more_due
        if free > 0:
            # fewer than asked for: nothing more to claim until something changes
            self._could_claim = len(turn.claimed) == free
        self._starter.ran(len(turn.recorded))
        try:
            refusal = self._starter.start(turn.claimed, opened) or turn.refusal
        finally:
            self._running.recorded(endings, turn.recorded)
            for done in turn.recorded:
                claim = done.claim
                self._emit(events.AttemptEnded(claim.job, claim.attempt_id, claim.number, done.ending, done.decision))
        if refusal is not None:
            self._starter.pause(refusal)
            self._could_claim = True
        elif free > 0:
            self._starter.succeeded(turn)

    def _recover(self) -> None:
        self._recover_at = self._db.clock.monotonic_s() + RECOVER_S
        if self._presence.keep():
            self._emit(events.LockFileRemoved(self._db.spool.root, self._running.live_count()))
        reap_if_init()
        found_any = False
        if self._stop_mode is None:  # one that is about to go takes nothing more on
            for adopted in self._recovery.adopt_from_the_dead(self.id):
                found_any = True
                self._running.adopt(adopted)
                self._emit(events.AttemptAdopted(adopted.claim.job, adopted.claim.attempt_id, adopted.claim.number))
        if strike_dead_workers(self._db, self.id) or found_any or self._is_first_recovery:
            self._is_first_recovery = False
            remove_leftovers(self._db)
        self._prune()

    def _prune(self) -> None:
        """Remove a chunk of what is too old; with more to do the next look comes in a second, else in minutes."""
        now = self._db.clock.monotonic_s()
        if now >= self._prune_at and self._stop_mode is None:
            more = prune_some(self._db, self._running.settings)
            self._prune_at = now + (0.0 if more else PRUNE_S)

    # --- durability

    def _is_sync_due(self, now: float, after_s: float) -> bool:
        return self._unsynced_since is not None and now - self._unsynced_since >= after_s

    def _sync_if_needed(self) -> None:
        wait_s = SYNC_S if self._running.live_count() else IDLE_SYNC_S
        if self._is_sync_due(self._db.clock.monotonic_s(), wait_s):
            self._sync()

    def _sync(self) -> None:
        self._attempts.make_durable()
        self._unsynced_since = None
        self._storage.works()

    # --- trouble

    def _is_hopeless(self, error: QueueError) -> bool:
        """Tell whether to leave although the storage fails: the results are in the run files, for the next worker."""
        if isinstance(error, DatabaseClosed):
            return True  # it never works again; what runs is for the next worker
        if self._running.has_live():
            return False
        return self._stop_mode is not None or isinstance(error, (DatabaseReplaced, DatabaseCorrupt))

    # --- sleeping and leaving

    def _sleep(self, seconds: float | None) -> None:
        if seconds is None:
            seconds = self._sleep_s()
        ready = self._waiter.wait(seconds)
        self._is_looking = self._presence.was_rung(ready) or self._is_looking
        self._running.announce(ready)

    def _sleep_s(self) -> float:
        """Return how long nothing can need this worker, as far as it knows itself."""
        if self._storage.error is not None:
            return self._storage.retry_s
        if self._has_more_due or (self._could_claim and self._free_slots() > 0):
            return 0.0
        now = self._db.clock.monotonic_s()
        until = [self._look_at - now, self._recover_at - now, self._running.next_look_s(now)]
        if self._next_due_ms is not None:
            until.append((self._next_due_ms - self._db.clock.now_ms()) / 1000)
        if self._unsynced_since is not None:
            after_s = SYNC_S if self._running.live_count() else IDLE_SYNC_S
            until.append(self._unsynced_since + after_s - now)
        return max(0.0, min(until))

    def _announce_stop(self) -> None:
        if self._stop_mode is not self._announced_stop and self._stop_mode is not None:
            self._announced_stop = self._stop_mode
            if len(self._running):
                with contextlib.suppress(QueueError):  # it stops all the same
                    workers.note_stop(self._db, self.id, "now" if self._stop_mode is StopMode.NOW else "drain")
            self._emit(events.WorkerStopping(self._stop_mode.value, len(self._running)))
            if self._stop_mode is StopMode.NOW:
                self._running.interrupt_all()

    def _is_done(self) -> bool:
        if len(self._running) or self._has_more_due:
            return False
        if self._stop_mode is not None:
            return True
        if not self._is_ending:
            return False
        # without a slot nothing can be claimed: such a worker only sees adopted commands to their end
        if self._slots == 0:
            return True
        if self._starter.pause_s or self._could_claim or self._is_due():
            return False
        return self._drain is None or self._drain.is_over()

    def _leave(self) -> None:
        """Give up the lock: what still runs is for others to adopt."""
        if self._presence.is_elsewhere():
            return
        detached = len(self._running)
        try:
            if self.error is None:
                if self._unsynced_since is not None:
                    self._attempts.make_durable()
                workers.forget(self._db, self.id)
        except QueueError as error:
            self._emit(events.StorageTrouble(str(error)))
        finally:
            self._running.close()
            self._presence.close()
            self._db.close_thread()
            self._waiter.close()
            self._ended.set()
            self._emit(events.WorkerStopped(self.id, detached))

    def _emit(self, event: events.WorkerEvent) -> None:
        try:
            self._on_event(event)
        except Exception:
            _LOG.exception("a listener of the worker failed")
        if self._presence.is_elsewhere():
            raise SystemExit("a listener of the worker forked, and this is the child: the worker is its parent's")
