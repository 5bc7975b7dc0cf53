"""What a caller asks for when adding a job; apart from the other values, so that adding one loads none of them."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class NewJob(NamedTuple):
    """What a caller asks for; ``None`` means the setting's default at the moment of enqueueing.

    ``run_at`` is an aware datetime; ``timeout_s`` seconds > 0; ``ok_exit`` and ``dead_exit`` are exit codes as in
    ``"0,24,64-78"``; ``env`` is added to the captured environment and wins over it.
    """

    command: str
    name: str | None = None
    queue: str = "default"
    priority: int = 0
    run_at: datetime | None = None
    max_attempts: int | None = None
    timeout_s: float | None = None
    backoff_base: float | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    label: str | None = None
    ok_exit: str | None = None
    dead_exit: str | None = None
