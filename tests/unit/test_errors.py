"""The tree of errors and their messages."""

from __future__ import annotations

import inspect
import re

import pytest

from core import errors
from core.errors import (
    InvalidTransition,
    JobNotFound,
    NameTaken,
    QueueError,
    QueueNotFound,
    WorkerNotFound,
)

CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str]:
    """Return the parent of each error as the module's docstring draws it."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([ │├└─]+)([A-Z]\w+)(\s{2,}|$)", line)
        if match is None:
            continue
        depth = len(match[1])
        path = [(other, name) for other, name in path if other < depth]
        if path:
            parents[match[2]] = path[-1][1]
        path.append((depth, match[2]))
    return parents


def test_the_tree_is_as_it_is_drawn() -> None:
    """The drawing in the docstring shows every error under its parent, and no other."""
    assert drawn_tree() == {
        name: kind.__bases__[0].__name__ for name, kind in CLASSES.items() if kind is not QueueError
    }


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_error_is_a_queue_error(name: str) -> None:
    """Whoever catches QueueError catches all that queuectl raises on purpose."""
    assert issubclass(CLASSES[name], QueueError)
    assert CLASSES[name].__doc__


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (JobNotFound(42), "no job 42; see 'queuectl list'"),
        (JobNotFound("etl"), "no job etl; see 'queuectl list'"),
        (InvalidTransition(42, "running", "purge"), "cannot purge job 42: it is running"),
        (
            InvalidTransition(42, "running", "purge", "cancel it first"),
            "cannot purge job 42: it is running; cancel it first",
        ),
        (NameTaken("etl"), "a job named 'etl' exists already; choose another name"),
        (QueueNotFound("media"), "no queue 'media'; see 'queuectl queue list'"),
        (WorkerNotFound(7), "no worker 7; see 'queuectl worker list'"),
    ],
)
def test_a_message_is_one_line_that_says_what_and_what_next(error: QueueError, message: str) -> None:
    """A person reads what was wrong and where to look."""
    assert str(error) == message


def test_an_error_carries_what_it_speaks_of() -> None:
    """A program need not take the message apart."""
    refusal = InvalidTransition(42, "running", "purge")
    assert (refusal.job_id, refusal.state, refusal.verb) == (42, "running", "purge")
    assert JobNotFound("etl").reference == "etl"
    assert NameTaken("etl").name == "etl"
    assert QueueNotFound("media").name == "media"
    assert WorkerNotFound(7).worker_id == 7
