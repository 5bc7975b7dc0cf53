"""The SQLite engine: one database file with the roles of ``core.storage.contract``."""

from __future__ import annotations

from core.loading import loaded_once
from core.storage.sqlite.file import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.errors import QueueError
    from core.storage import contract, operations_contract, transfer, work_contract


class SqliteStorage(Database):
    """A database file in its roles; mypy checks each role, and the whole, against the contract.

    A role is loaded when it is first asked for: ``queuectl enqueue`` needs two of them, and loading all of them, with
    the values they return, would take it half as long again.
    """

    @property
    def address(self) -> str:
        """The absolute path of the file, with all links followed."""
        return self.path

    def write_error(self, patience_s: float) -> QueueError | None:
        """Return the error that a write would meet now, ``None`` if none is to be seen; writes nothing."""
        from core.storage.sqlite.write_check import write_error

        return write_error(self, patience_s)

    @loaded_once
    def new_jobs(self) -> contract.NewJobs:
        """The way in for jobs."""
        from core.storage.sqlite.enqueue import NewJobs

        return NewJobs(self)

    @loaded_once
    def jobs(self) -> contract.Jobs:
        """Single jobs."""
        from core.storage.sqlite.queries import Jobs

        return Jobs(self)

    @loaded_once
    def dependencies(self) -> work_contract.Dependencies:
        """What waits for what."""
        from core.storage.sqlite.dependencies import Dependencies

        return Dependencies(self)

    @loaded_once
    def lists(self) -> contract.Lists:
        """Pages of jobs."""
        from core.storage.sqlite.listing import Lists

        return Lists(self)

    @loaded_once
    def operations(self) -> operations_contract.Operations:
        """What users do to jobs."""
        from core.storage.sqlite.operations import Operations

        return Operations(self)

    def attempts(self, jitter: Callable[[], float] | None = None) -> contract.Attempts:
        """Return the attempts for one worker."""
        from core.storage.sqlite.attempts import Attempts, drawn_jitter

        return Attempts(self, jitter or drawn_jitter)

    def drain(self, queues: Sequence[str]) -> contract.Drain:
        """Return what says whether these queues (none: all) are done."""
        from core.storage.sqlite.draining import Drain

        return Drain(self, queues)

    @loaded_once
    def queues(self) -> contract.Queues:
        """Counts, pause flags and limits."""
        from core.storage.sqlite.queues import Queues

        return Queues(self)

    @loaded_once
    def resources(self) -> contract.Resources:
        """How much there is of what jobs need, and what is in use."""
        from core.storage.sqlite.resources import Resources

        return Resources(self)

    @loaded_once
    def settings(self) -> contract.StoredSettings:
        """The settings that were set."""
        from core.storage.sqlite.settings import StoredSettings

        return StoredSettings(self)

    @loaded_once
    def statistics(self) -> contract.Statistics:
        """Totals by minute."""
        from core.storage.sqlite.statistics import Statistics

        return Statistics(self)

    @loaded_once
    def workers(self) -> contract.Workers:
        """The register of workers."""
        from core.storage.sqlite.workers import Workers

        return Workers(self)

    @loaded_once
    def changes(self) -> contract.Changes:
        """How commits are noticed."""
        from core.storage.sqlite.changes import Changes

        return Changes(self)

    @loaded_once
    def outputs(self) -> contract.Outputs:
        """The outputs in the file."""
        from core.storage.sqlite.outputs import Outputs

        return Outputs(self)

    @loaded_once
    def groups(self) -> contract.Groups:
        """Dead jobs by fingerprint."""
        from core.storage.sqlite.groups import Groups

        return Groups(self)

    @loaded_once
    def records(self) -> transfer.Records:
        """Reads for an export."""
        from core.storage.sqlite.records import Records

        return Records(self)

    @loaded_once
    def transfer(self) -> transfer.Transfer:
        """The whole queue, for a move to another database."""
        from core.storage.sqlite.transfer import Transfer

        return Transfer(self)

    @loaded_once
    def hooks(self) -> work_contract.Hooks:
        """The hooks."""
        from core.storage.sqlite.hooks import Hooks

        return Hooks(self)

    @loaded_once
    def schedules(self) -> work_contract.Schedules:
        """The schedules."""
        from core.storage.sqlite.schedules import Schedules

        return Schedules(self)

    @loaded_once
    def canaries(self) -> work_contract.Canaries:
        """Dead jobs replayed one before the others."""
        from core.storage.sqlite.canaries import Canaries

        return Canaries(self)

    @loaded_once
    def maintenance(self) -> contract.Maintenance:
        """Upkeep."""
        from core.storage.sqlite.maintenance import Maintenance

        return Maintenance(self)


if TYPE_CHECKING:
    _: type[contract.Storage] = SqliteStorage
