"""The attempts that a worker owns: opening, starting, watching and stopping them, and letting go of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from core.clock import FILE_TIME_LAG_MS, since_boot_s
from core.errors import QueueError
from core.execution import events, hook_input
from core.execution.command import Command, age_of_leader_s, start
from core.execution.output_limit import OutputWatch
from core.execution.output_sharing import OutputSharing
from core.execution.output_sync import OutputSync
from core.execution.recovery import Adopted
from core.execution.run_file import PASSING_ERRORS, RunFile, Status, remove_files
from core.execution.selector import Selector
from core.execution.shim import reap_left_behind, why_no_shell, why_not_entered
from core.model import Ending, Outcome
from core.output import collect, cut, read_tail
from core.rules import environment
from core.rules.fingerprint import TAIL_BYTES, with_last_words
from core.rules.needs import variables_for
from core.rules.settings import Settings
from core.rules.states import outcome_of_exit, with_note
from core.storage.contract import Attempts, Storage
from core.storage.values import Claim, Recorded
from core.text import system_bytes

#: How often a command that no descriptor announces is looked at, in seconds.
_POLL_S = 0.05
#: The same for one that is being stopped: its shim has ended, and its family is about to.
_STOP_POLL_S = 0.01
#: Stands for the limit of outputs when there is none, in bytes.
_NO_LIMIT = 1 << 63
#: The signals by which a service manager ends what it stops.
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL})
#: How long the ending by one of them waits for this worker's own signal to come, in seconds: it may be the later one.
_HOLD_S = 0.5
#: How many captured environments are kept in memory.
_ENVIRONMENTS = 256


@dataclass(slots=True)
class _Running:
    """One watched command. ``started_s`` and the deadlines are on the monotonic clock."""

    claim: Claim
    command: Command
    started_s: float
    is_adopted: bool
    output: OutputWatch
    deadline_s: float | None = None
    kill_at_s: float | None = None
    stop: Outcome | None = None
    stop_error: str | None = None
    descriptor: int = -1
    is_announced: bool = True
    look_at_s: float = 0.0
    is_start_known: bool = True
    held: Ending | None = None
    held_until_s: float = 0.0


class RunningAttempts:
    """The attempts of one worker, by id, each owned here from its opened run file to its recorded ending.

    An attempt is opened, runs, and ends; its ending then waits in ``endings`` to be recorded (before that, if its
    output is long, for the output's sync), or its claim waits to be given back, since the system had no room for
    another process. It is let go of in three ways: ``forget_recorded``, ``give_back`` and ``detach``.
    """

    def __init__(
        self, storage: Storage, attempts: Attempts, selector: Selector, emit: Callable[[events.WorkerEvent], None]
    ) -> None:
        self._storage = storage
        self._attempts = attempts
        self._selector = selector
        self._emit = emit
        self._opened: dict[int, RunFile] = {}
        self._running: dict[int, _Running] = {}
        self._by_descriptor: dict[int, int] = {}
        self._environments: dict[int, Mapping[bytes, bytes]] = {}
        self._outputs = OutputSync(storage.spool, selector.wake)
        self._sharing = OutputSharing(storage, lambda: list(self._running), lambda: self.settings)
        self._refused: dict[int, Claim] = {}
        self.endings: dict[int, tuple[Claim, Ending]] = {}
        #: Attempts whose commands the host's fence has asked to stop: they end as interrupted.
        self.fenced: Set[int] = frozenset()
        self.settings = Settings()
        reap_left_behind()

    def __len__(self) -> int:
        """Return how many attempts are open here: running ones, and those that wait to be recorded or given back."""
        return len(self._running) + len(self._outputs) + len(self.endings) + len(self._refused)

    def live_count(self) -> int:
        """Return how many commands run, and how many ended whose long outputs are being synced."""
        return len(self._running) + len(self._outputs)

    def has_live(self) -> bool:
        """Return whether any command runs."""
        return bool(self._running)

    def has_run_for(self, seconds: float, now: float) -> bool:
        """Return whether some command has run for so long at ``now`` on the stopwatch."""
        return any(now - running.started_s >= seconds for running in self._running.values())

    # --- beginning

    def open(self, claim: Claim) -> None:
        """Make and lock the files of an attempt that is being claimed; raise ``OSError`` when there is no room."""
        self._opened[claim.attempt_id] = RunFile(self._storage.spool, claim.attempt_id)

    def discard_opened(self) -> None:
        """Remove the files of attempts whose claim was not committed."""
        for run in self._opened.values():
            run.discard()
        self._opened.clear()

    def start(self, claims: Sequence[Claim], *, may_start: bool = True) -> OSError | None:
        """Start the commands of opened attempts; what the system refuses is given back: return its last refusal.

        The files of those that wait may be all that there is room for, so half of them go before the next try. Without
        ``may_start`` all are given back.
        """
        waiting, refusal = list(claims), None
        try:
            if not may_start:
                self.give_back(waiting)
                waiting = []
            while waiting:
                claim = waiting[0]
                error = self._start(claim, self._opened[claim.attempt_id])
                if error is None:
                    del waiting[0], self._opened[claim.attempt_id]
                    self._emit(events.AttemptStarted(claim.job, claim.attempt_id, claim.number))
                    continue
                refusal = error
                kept = len(waiting) // 2
                for late in waiting[kept:]:
                    self._opened[late.attempt_id].close()  # the database may need a descriptor, too
                self.give_back(waiting[kept:])
                del waiting[kept:]
        except QueueError:
            self._refused.update((late.attempt_id, late) for late in waiting)  # the next step gives them back
            raise
        except Exception:
            self._could_not_start(waiting, Outcome.INTERRUPTED)
            raise
        finally:
            for run in self._opened.values():
                run.close()  # the files stay until that is recorded
            self._opened.clear()
        return refusal

    def _start(self, claim: Claim, run: RunFile) -> OSError | None:
        """Start one command; return the error when the system has no room for it just now.

        An error that would come again (the environment is too big, say) becomes the attempt's ending.
        """
        job, shell = claim.job, self.settings.shell
        now = self._storage.clock.monotonic_s()
        try:
            variables = self._variables_of(claim)
            reason = why_no_shell(shell, os.fsdecode(variables.get(b"PATH", b"")))
            if reason is not None:
                self._did_not_start(claim, run, f"the shell {shell} of the setting 'shell' cannot be run: {reason}")
                return None
            with self._input_of(claim) as (told, source):
                command = start(
                    self._storage.spool,
                    claim.attempt_id,
                    run,
                    shell,
                    job.command,
                    job.cwd,
                    {**variables, **told},
                    source,
                )
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, OSError) and error.errno in PASSING_ERRORS:
                return error
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._did_not_start(claim, run, f"could not be started: {reason}")
            return None
        timeout_s = job.timeout_s
        deadline_s = None if timeout_s is None else now + timeout_s
        self._watch(_Running(claim, command, now, False, OutputWatch(now), deadline_s))
        return None

    def _did_not_start(self, claim: Claim, run: RunFile, error: str) -> None:
        run.close()  # the files stay until that is recorded: a run file that is missing proves nothing
        self.endings[claim.attempt_id] = (claim, _not_started(Outcome.SPAWN_ERROR, error))

    def _could_not_start(self, waiting: Sequence[Claim], outcome: Outcome) -> None:
        """Note the ending of claims that did not come to be started."""
        for claim in waiting:
            if claim.attempt_id not in self._running:
                ending = _not_started(outcome, "could not be started")
                self.endings[claim.attempt_id] = (claim, ending)

    def adopt(self, adopted: Adopted) -> None:
        """Own an attempt that a dead worker started; its timeout counts from its own start.

        If it ended meanwhile, that is its ending, however long ago its timeout passed.
        """
        self._adopt(adopted)
        self._emit(events.AttemptAdopted(adopted.claim.job, adopted.claim.attempt_id, adopted.claim.number))

    def _adopt(self, adopted: Adopted) -> None:
        now = self._storage.clock.monotonic_s()
        claim, command = adopted.claim, adopted.command
        status = command.poll()
        # the process knows when it was started; the stored instant is the calendar's, which may have been set since
        age_s = None
        if status is None and adopted.is_of_here and command.pid is not None:
            age_s = age_of_leader_s(command.pid)
        started_s = now - (self._stored_age_s(claim) if age_s is None else age_s)
        running = _Running(claim, command, started_s, True, OutputWatch(now), is_start_known=age_s is not None)
        if claim.job.timeout_s is not None:
            running.deadline_s = max(now, running.started_s + claim.job.timeout_s)
        if status is not None:
            if claim.stop_requested is not None and not _ended_before_stop(claim, status):
                running.stop = Outcome.CANCELLED
            ending = self._ending_of(running, status, now)
            if adopted.was_asked_to_stop and _is_by_stop_signal(running, ending):
                ending = ending._replace(outcome=Outcome.INTERRUPTED)
            self._note(claim, ending)
            return
        self._watch(running)
        if claim.stop_requested is not None:
            self.cancel(claim.attempt_id, is_kill=claim.stop_requested == "kill")

    def _stored_age_s(self, claim: Claim) -> float:
        """Return how long ago an attempt began, by the calendar; not longer than the system has been up."""
        age_s = (self._storage.now_ms() - claim.started_ms) / 1000
        return min(max(0.0, age_s), since_boot_s())

    def _watch(self, running: _Running) -> None:
        self._running[running.claim.attempt_id] = running
        self._sharing.start()
        descriptor = running.command.descriptor
        if running.is_adopted or descriptor < 0:
            running.is_announced = False
        if descriptor < 0:
            return
        try:
            self._selector.add(descriptor)
        except OSError:
            running.is_announced = False  # the system watches no more descriptors: this one is looked at instead
        else:
            running.descriptor = descriptor
            self._by_descriptor[descriptor] = running.claim.attempt_id

    def _variables_of(self, claim: Claim) -> Mapping[bytes, bytes]:
        captured = self._environments.get(claim.environment_id)
        if captured is None:
            if len(self._environments) >= _ENVIRONMENTS:
                self._environments.clear()
            mode, stored, left_out = self._attempts.environment_of(claim.environment_id)
            # this process's variables are read once: sorting out the secrets costs more than a claim
            captured = _encoded(environment.for_job(mode, stored, left_out, os.environ))
            self._environments[claim.environment_id] = captured
        job = claim.job
        return {
            **captured,
            **_encoded(job.env),
            b"QUEUECTL_JOB_ID": b"%d" % job.id,
            b"QUEUECTL_JOB_NAME": system_bytes(job.name or ""),
            b"QUEUECTL_ATTEMPT": b"%d" % job.attempts,
            b"QUEUECTL_MAX_ATTEMPTS": b"%d" % job.max_attempts,
            b"QUEUECTL_QUEUE": system_bytes(job.queue),
            b"QUEUECTL_DB": os.fsencode(self._storage.address),
            **_encoded(variables_for(claim.units)),
        }

    @contextlib.contextmanager
    def _input_of(self, claim: Claim) -> Iterator[tuple[Mapping[bytes, bytes], int]]:
        """Yield what a hook's job is given besides, and the descriptor that it reads; nothing for any other job."""
        own = claim.job.env
        if not hook_input.is_of_hook(own):
            yield {}, -1
            return
        lines = self._storage.hooks.lines(claim.job.id)
        with hook_input.opened_input(lines, self._storage.spool.root) as source:
            yield _encoded(hook_input.variables_for(own, lines)), source

    # --- watching

    def announce(self, descriptors: set[int]) -> None:
        """Have the commands looked at whose ``descriptors`` became readable."""
        for descriptor in descriptors:
            running = self._running.get(self._by_descriptor.get(descriptor, 0))
            if running is None:
                self._selector.remove(descriptor)  # once more: the system may have refused to
                continue
            # taken out at once: a zombie that waits for its group would be announced for ever
            self._unwatch(running)
            running.is_announced = False
            running.look_at_s = 0.0

    def collect(self, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Move the commands that ended to ``endings``; act on timeouts, graces and oversized outputs.

        Those that ended by a service manager's kind of signal while the worker, or its host, ``is_stopping`` are
        interrupted.
        """
        now = self._storage.clock.monotonic_s()
        self.endings.update((claim.attempt_id, (claim, ending)) for claim, ending in self._outputs.release())
        for attempt_id, running in list(self._running.items()):
            self._check_times(running, now)
            if now >= running.output.look_at_s:
                self._check_output(running, now)
            if running.is_announced or now < running.look_at_s:
                continue
            try:
                status = running.command.poll(is_stopping=running.stop is not None)
                self._heed_fence(running, now)
                ending = None if status is None else self._ending_of(running, status, now)
                if ending is not None:
                    ending = _settled(running, ending, now, is_stopping)
            except OSError as error:
                if error.errno not in PASSING_ERRORS:
                    raise
                ending = None  # no descriptor left to look with; the next look may have one
            if running.command.descriptor != running.descriptor:
                self._unwatch(running)
            if ending is None:
                running.look_at_s = now + (_POLL_S if running.stop is None else _STOP_POLL_S)
                continue
            self._unown(running)
            if status is not None and status.is_refused and running.stop is None:
                self._refused[attempt_id] = running.claim
            else:
                self._note(running.claim, ending)

    def _note(self, claim: Claim, ending: Ending) -> None:
        """Keep an ending to be recorded at the next step or, with its output in a file, once that is synced."""
        if ending.output is None and ending.output_bytes:
            self._outputs.hold(claim, ending)
        else:
            self.endings[claim.attempt_id] = (claim, ending)

    def _unwatch(self, running: _Running) -> None:
        if running.descriptor >= 0:
            self._by_descriptor.pop(running.descriptor, None)
            self._selector.remove(running.descriptor)
            running.descriptor = -1  # once it is closed, another command may have the number

    def next_look_s(self, now: float) -> float:
        """Return in how many seconds some command needs a look that no descriptor announces; an hour if none does."""
        times: list[float] = []
        for running in self._running.values():
            if not running.is_announced:
                times.append(running.look_at_s)
            if running.output.is_urgent:
                times.append(running.output.look_at_s)
            times += [at for at in (running.deadline_s, running.kill_at_s) if at is not None]
        return max(0.0, min(times) - now) if times else 3600.0

    def _heed_fence(self, running: _Running, now: float) -> None:
        """Stop a command, if the fence asked it to, to the end: also when the lease is renewed meanwhile."""
        if running.stop is None and running.claim.attempt_id in self.fenced:
            running.stop = Outcome.INTERRUPTED
            running.kill_at_s = now + self.settings.kill_grace_s

    def _check_times(self, running: _Running, now: float) -> None:
        self._heed_fence(running, now)
        if running.deadline_s is not None and now >= running.deadline_s:
            running.deadline_s = None
            self._stop(running, Outcome.TIMED_OUT)
        if running.kill_at_s is not None and now >= running.kill_at_s:
            self._kill(running)

    def _check_output(self, running: _Running, now: float) -> None:
        """End a command whose output is beyond the limit at once: while it was asked to go it would fill the disk."""
        try:
            path = self._storage.spool.output_file(running.claim.attempt_id)
            size = os.stat(path, follow_symlinks=False).st_size
        except OSError:
            size = 0
        if not running.output.saw(size, self.settings.output_limit_bytes or _NO_LIMIT, now):
            return
        if running.stop is None:
            if running.command.has_ended():
                return  # by itself: its true result counts, and its output is cut
            running.stop = Outcome.FAILED
            running.stop_error = f"output limit of {self.settings.output_limit_text} exceeded; cut to it"
        self._kill(running)

    # --- stopping

    def cancel(self, attempt_id: int, *, is_kill: bool) -> None:
        """Stop one command because a user asked for it: TERM, grace, KILL; or KILL at once."""
        running = self._running.get(attempt_id)
        if running is None:
            return
        if running.stop is None:
            self._stop(running, Outcome.CANCELLED)
        if is_kill and running.kill_at_s is not None:
            running.kill_at_s = 0.0

    def interrupt_all(self) -> None:
        """Stop every command because the worker has to stop; those out of its reach are left to run on."""
        for running in list(self._running.values()):
            if not running.command.is_here:
                self._detach(running)
            elif running.stop is None:
                self._stop(running, Outcome.INTERRUPTED)

    def _kill(self, running: _Running) -> None:
        running.kill_at_s = None
        running.command.signal(signal.SIGKILL)
        running.look_at_s = 0.0

    def _stop(self, running: _Running, outcome: Outcome) -> None:
        """Begin to stop a command, unless it has ended by itself: then its true result counts."""
        if running.command.has_ended():
            return
        running.stop = outcome
        running.kill_at_s = self._storage.clock.monotonic_s() + self.settings.kill_grace_s
        if not running.command.is_here:
            claim = running.claim
            self._emit(events.CommandOutOfReach(claim.job, claim.attempt_id, claim.number))
        running.command.signal(signal.SIGTERM)
        running.command.signal(signal.SIGCONT)  # a stopped command gets its TERM only when it goes on

    # --- ending

    def _ending_of(self, running: _Running, status: Status, now: float) -> Ending:
        limit = self.settings.output_limit_bytes
        was_cut = limit is not None and cut(self._storage.spool, running.claim.attempt_id, limit)
        output, size = collect(self._storage.spool, running.claim.attempt_id)
        run_ms = max(0, round((now - running.started_s) * 1000))
        code = status.exit_code
        number = code - 128 if code is not None and 128 < code <= 128 + signal.NSIG else None
        error = running.stop_error
        job = running.claim.job
        if status.is_directory_gone:
            outcome, code, number = Outcome.SPAWN_ERROR, None, None
            error = f"working directory {job.cwd} {why_not_entered(job.cwd)}"
        elif running.stop is not None:
            outcome = running.stop
            if code is None:
                number = signal.SIGKILL.value  # the shim was killed with its group and could write no status
        elif code is None:
            outcome = Outcome.LOST
        else:
            outcome = outcome_of_exit(code, number, job.ok_exit)
        ended_at_ms = status.ended_at_ms if running.is_adopted else None
        if ended_at_ms is not None and not running.is_start_known:
            run_ms = max(0, ended_at_ms - running.claim.started_ms)
        used = status.cpu_ms, status.max_rss_bytes
        tail = read_tail(self._storage.spool, running.claim.attempt_id, TAIL_BYTES) if output is None else output
        ending = with_last_words(Ending(outcome, code, number, error, run_ms, ended_at_ms, output, size, *used), tail)
        return self._with_note_of_cut(ending) if was_cut and running.stop_error is None else ending

    def _with_note_of_cut(self, ending: Ending) -> Ending:
        """Return the ending of a command that was not ended for its output, which was beyond the limit all the same."""
        return with_note(ending, f"output cut to the limit of {self.settings.output_limit_text}")

    # --- letting go

    def forget_recorded(self, handed: Sequence[tuple[Claim, Ending]], recorded: Sequence[Recorded]) -> None:
        """Let go of attempts whose endings were handed to the database; remove files that are not needed any more.

        An ending that another worker has recorded leaves the files to that worker.
        """
        for claim, _ in handed:
            # those that came since (a command that could not be started) wait for the next step
            del self.endings[claim.attempt_id]
        for done in recorded:
            self._sharing.ended(done.claim.attempt_id, is_in_file=done.ending.output is None)
            self._remove_files(done.claim.attempt_id, done.ending.output)

    def announce_recorded(self, recorded: Sequence[Recorded]) -> None:
        """Emit how attempts ended; before what they let start is announced."""
        for done in recorded:
            claim = done.claim
            self._emit(events.AttemptEnded(claim.job, claim.attempt_id, claim.number, done.ending, done.decision))

    def _remove_files(self, attempt_id: int, output: bytes | None) -> None:
        """Remove the files of an attempt that was recorded; output that is not in the record stays in its file."""
        with contextlib.suppress(OSError):
            os.unlink(self._storage.spool.run_file(attempt_id))
        if output is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._storage.spool.output_file(attempt_id))

    def give_back(self, claims: Sequence[Claim]) -> None:
        """Let go of claims whose commands the system let not start: their jobs are pending, no attempt was spent.

        One that a user asked meanwhile to stop is cancelled instead. Raises what keeps that from being written; then
        the claims are owned as before.
        """
        stopped = self._attempts.give_back([claim.attempt_id for claim in claims])
        self._could_not_start([claim for claim in claims if claim.attempt_id in stopped], Outcome.CANCELLED)
        for claim in claims:
            self._refused.pop(claim.attempt_id, None)
            remove_files(self._storage.spool, claim.attempt_id)

    def give_back_refused(self) -> bool:
        """Give back what a shim could not start, since it was refused a process; return whether there was any."""
        refused = list(self._refused.values())
        if refused:
            self.give_back(refused)
        return bool(refused)

    def detach(self) -> None:
        """Let go of all commands; they run on, for another worker to adopt."""
        self._sharing.stop()
        for running in list(self._running.values()):
            self._detach(running)

    def _detach(self, running: _Running) -> None:
        running.command.leave()
        self._unown(running)

    def _unown(self, running: _Running) -> None:
        del self._running[running.claim.attempt_id]
        self._unwatch(running)
        running.command.close()


def _is_by_stop_signal(running: _Running, ending: Ending) -> bool:
    """Return whether a command ended by a service manager's kind of signal that did not come from this program."""
    return running.stop is None and ending.outcome is Outcome.SIGNALLED and ending.signal in _STOP_SIGNALS


def _ended_before_stop(claim: Claim, status: Status) -> bool:
    """Return whether a command had ended by itself before a user asked to stop it: its true end counts.

    One that may have ended just after that did.
    """
    ended_ms, asked_ms = status.ended_at_ms, claim.stop_asked_ms
    is_known = status.exit_code is not None and ended_ms is not None and asked_ms is not None
    return is_known and (ended_ms or 0) + FILE_TIME_LAG_MS < (asked_ms or 0)


def _settled(running: _Running, ending: Ending, now: float, is_stopping: Callable[[], bool]) -> Ending | None:
    """Return the ending to record, ``None`` while it waits: a service manager signals the worker and its commands.

    The command may end before the worker's own signal has come. ``is_stopping`` says that it has.
    """
    if not _is_by_stop_signal(running, ending):
        return ending
    if running.held is None:
        running.held, running.held_until_s = ending, now + _HOLD_S
    if is_stopping():
        return running.held._replace(outcome=Outcome.INTERRUPTED)
    return running.held if now >= running.held_until_s else None


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return variables in bytes, as a process gets them: encoded once, not at each start."""
    return {system_bytes(name): system_bytes(value) for name, value in variables.items()}


def _not_started(outcome: Outcome, error: str) -> Ending:
    """Return the ending of an attempt whose command was never there."""
    return with_last_words(Ending(outcome, error=error, run_ms=0, output=b""), b"")
