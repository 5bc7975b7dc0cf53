"""The SQLite engine: one database file with the roles of ``core.storage.contract``."""

from __future__ import annotations

from functools import cached_property

from core.storage.sqlite.file import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.storage import contract


class SqliteStorage(Database):
    """A database file in its roles; mypy checks each role, and the whole, against the contract.

    A role is loaded when it is first asked for: ``queuectl enqueue`` needs two of them, and loading all of them, with
    the values they return, would take it half as long again.
    """

    @property
    def address(self) -> str:
        """The absolute path of the file, with all links followed."""
        return self.path

    @cached_property
    def new_jobs(self) -> contract.NewJobs:
        """The way in for jobs."""
        from core.storage.sqlite.enqueue import NewJobs

        return NewJobs(self)

    @cached_property
    def jobs(self) -> contract.Jobs:
        """Single jobs."""
        from core.storage.sqlite.queries import Jobs

        return Jobs(self)

    @cached_property
    def lists(self) -> contract.Lists:
        """Pages of jobs."""
        from core.storage.sqlite.listing import Lists

        return Lists(self)

    @cached_property
    def operations(self) -> contract.Operations:
        """What users do to jobs."""
        from core.storage.sqlite.operations import Operations

        return Operations(self)

    def attempts(self, jitter: Callable[[], float] | None = None) -> contract.Attempts:
        """Return the attempts for one worker."""
        from core.storage.sqlite.attempts import Attempts, drawn_jitter

        return Attempts(self, jitter or drawn_jitter)

    @cached_property
    def queues(self) -> contract.Queues:
        """Counts, pause flags and limits."""
        from core.storage.sqlite.queues import Queues

        return Queues(self)

    @cached_property
    def settings(self) -> contract.StoredSettings:
        """The settings that were set."""
        from core.storage.sqlite.settings import StoredSettings

        return StoredSettings(self)

    @cached_property
    def statistics(self) -> contract.Statistics:
        """Totals by minute."""
        from core.storage.sqlite.statistics import Statistics

        return Statistics(self)

    @cached_property
    def workers(self) -> contract.Workers:
        """The register of workers."""
        from core.storage.sqlite.workers import Workers

        return Workers(self)

    @cached_property
    def changes(self) -> contract.Changes:
        """How commits are noticed."""
        from core.storage.sqlite.changes import Changes

        return Changes(self)

    @cached_property
    def outputs(self) -> contract.Outputs:
        """The outputs in the file."""
        from core.storage.sqlite.outputs import Outputs

        return Outputs(self)

    @cached_property
    def groups(self) -> contract.Groups:
        """Dead jobs by fingerprint."""
        from core.storage.sqlite.groups import Groups

        return Groups(self)

    @cached_property
    def records(self) -> contract.Records:
        """Reads for an export."""
        from core.storage.sqlite.records import Records

        return Records(self)

    @cached_property
    def maintenance(self) -> contract.Maintenance:
        """Upkeep."""
        from core.storage.sqlite.maintenance import Maintenance

        return Maintenance(self)


if TYPE_CHECKING:
    _: type[contract.Storage] = SqliteStorage
