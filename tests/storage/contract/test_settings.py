"""Settings: text by key, in force at once for whoever reads them, checked before they are stored."""

from __future__ import annotations

import pytest

from core.errors import UsageError
from core.queue import Queue
from tests.processes import wait_for
from tests.storage.contract.engines import contents


def test_a_setting_holds_for_all_who_have_the_queue_open(queue: Queue) -> None:
    """Until it is unset, when the default holds again."""
    with Queue(queue.path) as other:
        assert other.settings().max_attempts == 3
        queue.set("max-attempts", "7")
        assert other.settings().max_attempts == 7
        assert other.stored_settings() == {"max-attempts": "7"}
        other.unset("max-attempts")
        assert queue.settings().max_attempts == 3
        assert queue.stored_settings() == {}


def test_a_setting_is_replaced_not_added(queue: Queue) -> None:
    queue.set("max-attempts", "7")
    queue.set("max-attempts", "8")
    assert queue.stored_settings() == {"max-attempts": "8"}


@pytest.mark.parametrize(("key", "text"), [("max-attempts", "0"), ("max-attempts", "many"), ("colour", "blue")])
def test_a_refused_setting_changes_nothing(queue: Queue, key: str, text: str) -> None:
    queue.set("max-attempts", "7")
    before = contents(queue)
    with pytest.raises(UsageError):
        queue.set(key, text)
    assert contents(queue) == before


def test_a_change_of_a_setting_is_seen_by_who_looks_for_changes(queue: Queue) -> None:
    """A worker reads its settings again when the version changed."""
    with Queue(queue.path) as other:
        # on a server others may write meanwhile, to databases of their own
        wait_for(lambda: other.data_version() == other.data_version(), "two looks between which nothing changed")
        before = other.data_version()
        queue.set("max-attempts", "7")
        assert other.data_version() != before
