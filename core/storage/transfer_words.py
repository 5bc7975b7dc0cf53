"""What a database says to others while it is being filled by a move, and once it was moved away."""

from __future__ import annotations

import shlex

from core.errors import DatabaseMoved


def moved_message(source: str, target: str) -> str:
    """Return what a queue says once it was moved away."""
    return f"{source} was moved to {target}; use that: --db {shlex.quote(target)}"


def filling_message(source: str, target: str) -> str:
    """Return what a queue says while it is filled from another one."""
    return f"{target} is not whole yet; finish that with: {move_command(source, target)}"


def refusal(role: str, address: str, own: str) -> DatabaseMoved:
    """Return the error of a queue at ``own`` with the mark ``to`` or ``from``, and the address that is marked."""
    return DatabaseMoved(moved_message(own, address) if role == "to" else filling_message(address, own))


def move_command(source: str, target: str) -> str:
    """Return the command line that moves a queue."""
    return f"queuectl move {shlex.quote(source)} {shlex.quote(target)}"
