"""What a worker does for its host where several share a database: renew its lease, give up hosts that stay silent.

Where a file is the database nothing is to be done: locks say there who lives.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from core.clock import since_boot_s
from core.errors import QueueError
from core.execution import events
from core.execution.detached import start_detached
from core.execution.lease import GATE_WAIT_S, Fence, Gate, Lease, Renewal, is_any_running
from core.execution.sentinel import SentinelPipe
from core.locks import is_locked
from core.model import Ending, Outcome
from core.rules.lease_terms import LeaseTerms
from core.rules.settings import Settings
from core.storage.contract import Storage
from core.storage.host_contract import Hosts
from core.storage.values import Claim, HostLook, HostSeen

#: How many open attempts of hosts that were given up one look closes.
ABANDONED_AT_ONCE = 500
#: An earlier life of this host is over once its renewals stood still for so many intervals between renewals.
OWN_STILL_RENEWALS = 2
#: How long a host that was given up waits for its killed commands to be gone, in seconds: some no kill can end.
END_WAIT_S = 3.0


class _Counter(NamedTuple):
    """A host's counter since when it stands where it does, ``since_s``, and whether it was seen to move."""

    renewals: int
    since_s: float
    has_moved: bool


class _Watched:
    """What is known of the other hosts' counters: since when each stands where it does, on this host's stopwatch."""

    def __init__(self) -> None:
        self._server_life = ""
        self.server_since_s = 0.0
        self._known: dict[int, _Counter] = {}

    def look(self, look: HostLook, answered_s: float) -> list[tuple[HostSeen, _Counter]]:
        """Return the other hosts of a look that was answered at ``answered_s``, each with what is known of its counter.

        All waits begin anew with a new life of the server: while it was away no host could renew.
        """
        if look.server_life != self._server_life:
            self._server_life = look.server_life
            self.server_since_s = answered_s
            self._known.clear()
        before, self._known = self._known, {}
        for host in look.others:
            known = before.get(host.id, _Counter(host.renewals, answered_s, False))
            if known.renewals != host.renewals:
                known = _Counter(host.renewals, answered_s, True)
            self._known[host.id] = known
        return [(host, self._known[host.id]) for host in look.others]


class HostKeeping:
    """One worker's share in keeping its host's lease; ``grace_s`` returns the time between TERM and KILL.

    The lease is one for the host: any worker renews it, and each has a fence of its own, which ends all commands of the
    host when no renewal was confirmed for too long.
    """

    def __init__(
        self, storage: Storage, grace_s: Callable[[], float], emit: Callable[[events.WorkerEvent], None]
    ) -> None:
        self._storage = storage
        self._hosts: Hosts | None = storage.workers.hosts
        self._emit = emit
        self.life_id = self._worker_id = 0
        self._terms = LeaseTerms(0.0)
        #: The attempts whose commands the fence has asked to stop; each is added before it is asked.
        self.stopped: set[int] = set()
        self._lease = Lease(storage.spool)
        self._gate = Gate(storage.spool)
        self._sentinel = SentinelPipe(storage.spool)
        self._fence = Fence(storage.spool, self._lease, grace_s, self.stopped)
        self._watched = _Watched()
        self._renew_at_s = self._look_at_s = 0.0

    def join(self, settings: Settings, worker_id: int = 0) -> None:
        """Enter this host into the register unless it is there, with this worker, and begin to keep its lease.

        Commands of an earlier life of the host are ended before anything is started in a new one, by whichever of its
        processes is the first to come.
        """
        if self._hosts is None:
            return
        self._fence.start()
        self._worker_id = worker_id or self._worker_id
        life_id = self._hosts.join(LeaseTerms(settings.number("host-lease")), self._worker_id)
        if life_id == self.life_id:
            return
        self.life_id, self._terms = life_id, self._hosts.terms(life_id)
        if self._is_kept():
            self._renew_unless_renewed(self._storage.clock.monotonic_s())
            return
        with self._gate.closed(GATE_WAIT_S):
            if self._lease.last() is not None and not self._is_kept():
                self._end_all()
            self._renew()

    def _is_kept(self) -> bool:
        """Return whether the last renewal is one of the life that this worker knows."""
        last = self._lease.last()
        return last is not None and last.life_id == self.life_id

    def _end_all(self) -> None:
        """Kill all commands of this host, and wait until they are gone, but not for ever."""
        self._fence.end_all()
        until_s, over = since_boot_s() + END_WAIT_S, threading.Event()
        while since_boot_s() < until_s and is_any_running(self._storage.spool):
            over.wait(0.02)

    @property
    def is_ending_commands(self) -> bool:
        """Whether the fence of some process of this host ends its commands now, or ended those of this life."""
        return self._hosts is not None and (self._fence.is_acting() or not self._is_kept())

    @property
    def next_look_s(self) -> float:
        """When to call ``keep`` next, on the stopwatch; infinite where there is nothing to keep."""
        return float("inf") if self._hosts is None else min(self._renew_at_s, self._look_at_s)

    def keep(self, settings: Settings) -> list[tuple[Claim, Ending]]:
        """Renew the lease and look at the other hosts, as far as that is due.

        Return the endings to record of attempts whose host was given up. If this host was, its commands are ended, and
        it joins again: then the attempts that others closed are none of its own any more.
        """
        if self._hosts is None:
            return []
        now_s = self._storage.clock.monotonic_s()
        self._sentinel.hold_on()
        if now_s >= self._renew_at_s and not self._renew_unless_renewed(now_s):
            self._emit(events.HostGivenUp())
            self.join(settings)
        if now_s < self._look_at_s:
            return []
        self._look_at_s = now_s + self._terms.renew_s
        return self._look(settings)

    def _renew_unless_renewed(self, now_s: float) -> bool:
        """Renew the lease, unless another process of this host just has; return whether the life goes on."""
        last = self._lease.last()
        if last is not None and last.life_id == self.life_id and last.age_s() < self._terms.renew_s / 2:
            self._renew_at_s = now_s + self._terms.renew_s - last.age_s()
            return True
        return self._renew()

    def _renew(self) -> bool:
        assert self._hosts is not None
        self._renew_at_s = self._storage.clock.monotonic_s() + self._terms.renew_s
        sent_s = since_boot_s()
        if not self._hosts.renew(self.life_id):
            return False
        self._lease.renewed(Renewal(sent_s, self.life_id, self._terms))
        return True

    def _look(self, settings: Settings) -> list[tuple[Claim, Ending]]:
        """Look at the other hosts, and give up those whose counters stand still for their lease.

        A counter stands still from the answer in which it was first seen to the question whose answer has it again:
        what lies between a question and its answer, seconds on a network that was cut, says nothing of it.
        """
        assert self._hosts is not None
        asked_s = self._storage.clock.monotonic_s()
        look = self._hosts.look(self.life_id)
        others = self._watched.look(look, self._storage.clock.monotonic_s())
        if not look.is_known:
            self._await_lost_claims(look, settings, asked_s)
        for host, counter in others:
            still_s = asked_s - counter.since_s
            if not host.is_own_spool:
                if still_s >= host.lease_s and self._hosts.give_up(host.id, host.renewals):
                    self._emit(events.OtherHostGivenUp(host.name, host.id))
            elif counter.has_moved:
                # it lives, and has the token of this spool: this disk is a copy of its disk
                self._hosts.become_another(self.life_id)
            elif still_s >= OWN_STILL_RENEWALS * self._terms.renew_s:
                self._hosts.replace_own(host.id, host.renewals)
        return [(claim, _LOST) for claim in self._hosts.abandoned(ABANDONED_AT_ONCE)]

    def _await_lost_claims(self, look: HostLook, settings: Settings, asked_s: float) -> None:
        """After a failover let no worker claim for the length of the longest lease, counted on this host's stopwatch.

        The server may lack the last claims, whose commands run. By then each is ended: by its host's fence, or by its
        host itself, which ends what the server does not know as soon as it reaches it.
        """
        assert self._hosts is not None
        self._hosts.join(LeaseTerms(settings.number("host-lease")), self._worker_id)
        self._fence.end_unless_open(self._hosts.open_attempts)
        lease_s = max(settings.number("host-lease"), self._terms.lease_s, *(host.lease_s for host in look.others))
        waited_s = asked_s - self._watched.server_since_s
        if look.is_synchronous or waited_s >= lease_s:
            self._hosts.accept_server(look.server_life)
        elif waited_s <= 0:  # the first look at it
            self._emit(events.ServerReplaced(lease_s))

    # --- starts

    @property
    def allows_start(self) -> bool:
        """Whether commands may be started now, as far as the host's lease goes."""
        return self._hosts is None or self._lease.allows_start(self.life_id)

    def starting(self) -> AbstractContextManager[bool]:
        """Return a ``with`` block for starts, which yields whether commands may be started in it."""
        return self._starting()

    @contextlib.contextmanager
    def _starting(self) -> Iterator[bool]:
        if self._hosts is None:
            yield True
            return
        with self._gate.starting():
            may_start = self._lease.allows_start(self.life_id)
            if may_start:
                self._sentinel.hold()
            yield may_start

    def need_keeper(self) -> None:
        """Start this host's keeper unless one is alive: a command has run for a while, and this worker may be killed.

        The keeper, ``core.execution.keeper``, is a process of its own. It finds the address of the database, with its
        password, in its environment, where other users cannot read it.
        """
        if self._hosts is not None and not is_locked(self._storage.spool.keeper_lock):
            words = [sys.executable, "-m", "queuectl_entry", "host", "keep"]
            start_detached(words, {**os.environ, "QUEUECTL_DB": self._hosts.own_address()})

    def leave(self) -> None:
        """End the fence and, if nothing of this host is open any more, its life."""
        self._sentinel.close()
        self._fence.stop()
        if self._hosts is not None and self.life_id:
            with contextlib.suppress(QueueError):
                self._hosts.leave(self.life_id)


_LOST = Ending(Outcome.LOST, error="its host was given up: it had not renewed its lease for too long")
