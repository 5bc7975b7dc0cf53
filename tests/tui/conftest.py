"""What keeps the tests of the dashboard from growing their process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

#: How many objects more than after the last collection there may be before the next one: some 100 dashboards, 600 MB.
_MOST = 3_000_000

_left = {"objects": 0}


@pytest.fixture(autouse=True)
def _dashboards_are_collected() -> Iterator[None]:
    """Collect the dashboards of earlier tests now and then.

    Each exempts all that is there at its first picture from garbage collection, for as long as its process lives. Here
    hundreds are started in one process, and each would keep those before it.
    """
    yield
    if gc.get_freeze_count() > _left["objects"] + _MOST:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _left["objects"] = gc.get_freeze_count()
