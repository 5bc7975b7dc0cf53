"""What an engine promises besides when several hosts share its database: who lives, and what others may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.model import HostInfo
from core.rules.lease_terms import LeaseTerms
from core.storage.values import Claim, HostLook, SharedOutput


class Hosts(Protocol):
    """The register of hosts that share a database. One *life* of a host lasts until it leaves or is given up.

    No clock decides who lives: a life's ``renewals`` count up, and whoever sees them stand still for its whole lease
    may give it up. Renewing and giving up write the same row: after one, the other finds none.
    """

    def join(self, terms: LeaseTerms, worker_id: int = 0) -> int:
        """Return the id of this host's life, a new one with these terms if it has none that lives.

        A registered worker is one of that life from then on: what it claims is claimed in it. One that others have
        struck from the register, or that a failover has lost, is entered again.
        """

    def terms(self, life_id: int) -> LeaseTerms:
        """Return the terms that a life stated when it joined."""

    def renew(self, life_id: int) -> bool:
        """Count a life's renewals up by one; return ``False``, and change nothing, if it was given up or has left."""

    def look(self, life_id: int) -> HostLook:
        """Return the other lives that are not over."""

    def open_attempts(self) -> set[int]:
        """Return the open attempts of this host, those of its earlier lives among them."""

    def accept_server(self, server_life: str) -> bool:
        """Let claims be made on a server that took another's place; return ``False`` if its life is another by now."""

    def give_up(self, host_id: int, renewals: int) -> bool:
        """End another host's life if its renewals still are what they were seen to be; return whether that was so."""

    def replace_own(self, host_id: int, renewals: int) -> bool:
        """End an earlier life of this host, as ``give_up``; its open attempts are decided by their run files here."""

    def become_another(self, life_id: int) -> None:
        """Make this host another one than that whose spool it has a copy of."""

    def abandoned(self, limit: int) -> list[Claim]:
        """Return up to ``limit`` open attempts of hosts that were given up, to be recorded as lost."""

    def own_address(self) -> str:
        """Return the address of the database with its password, for processes that this one starts."""

    def leave(self, life_id: int) -> None:
        """End this host's life if none of its attempts is open and none of its workers is in the register."""

    def hosts(self) -> list[HostInfo]:
        """Return the hosts that live, and those that were given up and still have open attempts, the oldest first."""

    def forget(self, host_id: int) -> None:
        """End a host's life because a user says that nothing of it runs any more; raises ``Refused`` for none."""


class SharedOutputs(Protocol):
    """Copies of what attempts have written, for readers on other hosts. The file on the attempt's host is the truth."""

    def add(self, parts: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep more of some outputs: attempt id, offset, bytes."""

    def replace(self, attempt_id: int, parts: Sequence[tuple[int, bytes]]) -> None:
        """Keep these parts, offset and bytes, of an attempt that has ended, and nothing else of it."""

    def shared(self, attempt_id: int) -> SharedOutput:
        """Return which parts of an attempt's output are kept, and the name of the host that has all of it."""

    def read(self, attempt_id: int, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``, up to the next byte that is not kept."""
