"""The PostgreSQL engine: one database on a server with the roles of ``core.storage.contract``."""

from __future__ import annotations

from core.clock import Clock
from core.loading import loaded_once
from core.storage.postgres import host_spool, migrations
from core.storage.postgres.connection import Connections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.errors import QueueError
    from core.storage import contract, operations_contract, transfer, work_contract


class PostgresStorage(Connections):
    """A database on a server in its roles; mypy checks each role, and the whole, against the contract."""

    def __init__(
        self,
        address: str,
        *,
        create: bool = True,
        is_read_only: bool = False,
        clock: Clock | None = None,
        busy_timeout_s: float | None = None,
        on_wait: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(
            address,
            is_read_only=is_read_only,
            clock=clock,
            busy_timeout_s=5.0 if busy_timeout_s is None else busy_timeout_s,
            on_wait=on_wait,
        )
        try:
            self.database_id = migrations.prepare(self, create=create)
            self.spool = host_spool.spool_of(self.identity())
            if not is_read_only:
                host_spool.make(self.spool)
        except BaseException:
            self.close()
            raise

    def identity(self) -> str:
        """Return what distinguishes this database from all others, its own copies on other servers included."""
        found = self.query("SELECT system_identifier::text || ' ' || current_database() FROM pg_control_system()")
        return f"{found[0][0]} {self.database_id}"

    def check_identity(self) -> None:
        """Do nothing: each new connection looks whether the database is the one that was opened."""

    def limit_cache(self, kib: int) -> None:
        """Do nothing: what of the database is kept in memory is the server's to decide."""

    def write_error(self, patience_s: float) -> QueueError | None:
        """Return the error that a write would meet now, ``None`` if none is to be seen; writes nothing."""
        from core.storage.postgres.write_check import write_error

        return write_error(self, patience_s)

    @loaded_once
    def new_jobs(self) -> contract.NewJobs:
        """The way in for jobs."""
        from core.storage.postgres.enqueue import NewJobs

        return NewJobs(self)

    @loaded_once
    def jobs(self) -> contract.Jobs:
        """Single jobs."""
        from core.storage.postgres.queries import Jobs

        return Jobs(self)

    @loaded_once
    def dependencies(self) -> work_contract.Dependencies:
        """What waits for what."""
        from core.storage.postgres.dependencies import Dependencies

        return Dependencies(self)

    @loaded_once
    def lists(self) -> contract.Lists:
        """Lists of jobs by view."""
        from core.storage.postgres.listing import Lists
        from core.storage.postgres.output_search import OutputSearch

        return Lists(self, OutputSearch(self, self.spool))

    @loaded_once
    def groups(self) -> contract.Groups:
        """Dead jobs by fingerprint."""
        from core.storage.postgres.groups import Groups

        return Groups(self)

    @loaded_once
    def outputs(self) -> contract.Outputs:
        """The outputs of ended attempts."""
        from core.storage.postgres.outputs import Outputs

        return Outputs(self, self.spool)

    @loaded_once
    def records(self) -> transfer.Records:
        """The reads of an export."""
        from core.storage.postgres.records import Records

        return Records(self)

    @loaded_once
    def resources(self) -> contract.Resources:
        """How much there is of what jobs need, and what is in use."""
        from core.storage.postgres.resources import Resources

        return Resources(self)

    @loaded_once
    def operations(self) -> operations_contract.Operations:
        """What users do to jobs."""
        from core.storage.postgres.operations import Operations

        return Operations(self)

    def attempts(self, jitter: Callable[[], float] | None = None) -> contract.Attempts:
        """Return the attempts for one worker."""
        from core.storage.postgres.attempts import Attempts, drawn_jitter

        return Attempts(self, self.spool, jitter or drawn_jitter)

    @loaded_once
    def settings(self) -> contract.StoredSettings:
        """The settings that were set."""
        from core.storage.postgres.settings import StoredSettings

        return StoredSettings(self)

    def drain(self, queues: Sequence[str]) -> contract.Drain:
        """Return what says whether these queues (none: all) are done."""
        from core.storage.postgres.draining import Drain

        return Drain(self, queues)

    @loaded_once
    def queues(self) -> contract.Queues:
        """Counts, pause flags and limits."""
        from core.storage.postgres.queues import Queues

        return Queues(self)

    @loaded_once
    def statistics(self) -> contract.Statistics:
        """Totals by minute."""
        from core.storage.postgres.statistics import Statistics

        return Statistics(self)

    @loaded_once
    def workers(self) -> contract.Workers:
        """The register of workers."""
        from core.storage.postgres.workers import Workers

        return Workers(self, self.spool)

    @loaded_once
    def changes(self) -> contract.Changes:
        """How commits are noticed."""
        from core.storage.postgres.changes import Changes

        return Changes(self)

    @loaded_once
    def transfer(self) -> transfer.Transfer:
        """The whole queue, for a move to another database."""
        from core.storage.postgres.transfer import Transfer

        return Transfer(self, self.spool)

    @loaded_once
    def hooks(self) -> work_contract.Hooks:
        """The hooks."""
        from core.storage.postgres.hooks import Hooks

        return Hooks(self)

    @loaded_once
    def schedules(self) -> work_contract.Schedules:
        """The schedules."""
        from core.storage.postgres.schedules import Schedules

        return Schedules(self)

    @loaded_once
    def canaries(self) -> work_contract.Canaries:
        """Dead jobs replayed one before the others."""
        from core.storage.postgres.canaries import Canaries

        return Canaries(self)

    @loaded_once
    def maintenance(self) -> contract.Maintenance:
        """Upkeep."""
        from core.storage.postgres.maintenance import Maintenance

        return Maintenance(self, self.spool)
