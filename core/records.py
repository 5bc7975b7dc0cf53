"""What an export needs of a job beyond ``Job``, as frozen values: its attempts, its captured environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.model import Attempt, Job, State


class JobRecord(NamedTuple):
    """A job with its attempts, the first one first; ``purged_from`` is the state it was purged from, else ``None``."""

    job: Job
    environment_id: int
    purged_from: State | None
    attempts: tuple[Attempt, ...]


class StoredEnvironment(NamedTuple):
    """A captured environment, which any number of jobs share; secrets among its ``variables`` are not masked.

    ``mode`` is the setting ``capture-env`` at the time; ``left_out`` are the names that were left to the worker.
    """

    id: int
    mode: str
    variables: Mapping[str, str]
    left_out: tuple[str, ...]
