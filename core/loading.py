"""One lock for modules that are loaded at their first use, by whichever thread: a fork waits for it.

A process that is forked off while another thread loads a module inherits Python's lock of that module held for ever.
"""

from __future__ import annotations

import os
import threading

#: How long a fork waits for a module that is being loaded, in seconds.
_FORK_WAIT_S = 5.0

#: Held by a thread while it loads a module, or makes what is made once.
LOADING = threading.RLock()


class _AtFork:
    """Whether the fork under way holds ``LOADING``."""

    is_held = False


def _before_fork() -> None:
    _AtFork.is_held = LOADING.acquire(timeout=_FORK_WAIT_S)


def _after_fork() -> None:
    if _AtFork.is_held:
        _AtFork.is_held = False
        LOADING.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import cached_property

    loaded_once = cached_property
else:

    class loaded_once:  # noqa: N801 - a decorator, as ``functools.cached_property`` is
        """A property that is worked out once, under ``LOADING``: the lock of ``cached_property`` is inherited held."""

        def __init__(self, make):
            self._make = make
            self._name = make.__name__
            self.__doc__ = make.__doc__

        def __get__(self, owner, _=None):
            if owner is None:
                return self
            with LOADING:
                if self._name not in owner.__dict__:
                    owner.__dict__[self._name] = self._make(owner)
                return owner.__dict__[self._name]
