"""Waiting for a server that lets no one in yet: it starts, recovers after a crash, or is being restarted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import pq

from core.storage.postgres.errors import is_refused_in_words, is_starting_in_words

_T = TypeVar("_T")

#: How long a program waits that does not ask to hear of it, in seconds.
PATIENCE_S = 5.0
#: Between two tries, in seconds: it doubles, less up to a half of it by chance, so that many do not try at once.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
#: A server that has just answered answers again at once, in seconds; libpq has no less. Other threads
#: stand still meanwhile: psycopg does not let them run.
_PING_TIMEOUT_S = 2


def connected(connect: Callable[[], _T], conninfo: str, on_wait: Callable[[], object] | None) -> _T:
    """Return what ``connect()`` returns, as soon as the server lets programs in.

    ``on_wait`` is called before the first pause, and the wait then lasts for as long as the server says that it is
    not ready, or says nothing after it did. Without it the wait is at most ``PATIENCE_S``. Raises psycopg's error of
    the last try then, and at once all errors that time does not mend: a wrong password, no database, no server there.
    """
    give_up_at = time.monotonic() + PATIENCE_S
    pause_s, has_waited = FIRST_PAUSE_S, False
    while True:
        try:
            return connect()
        except psycopg.OperationalError as error:
            if not _may_be_ready_soon(error, conninfo, has_waited=has_waited):
                raise
            this_pause_s = pause_s * random.uniform(0.5, 1)
            if on_wait is None and time.monotonic() + this_pause_s > give_up_at:
                raise
        if on_wait is not None and not has_waited:
            on_wait()
        has_waited = True
        time.sleep(this_pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _may_be_ready_soon(error: psycopg.OperationalError, conninfo: str, *, has_waited: bool) -> bool:
    if is_starting_in_words(error):
        return True
    if error.sqlstate is not None or is_refused_in_words(error):
        return False
    # a server may speak any language; libpq knows the code of what it said, and shows it in this answer alone
    found = pq.PGconn.ping(psycopg.conninfo.make_conninfo(conninfo, connect_timeout=_PING_TIMEOUT_S).encode())
    # between its end and its next start it does not listen
    return found == pq.Ping.REJECT or (has_waited and found == pq.Ping.NO_RESPONSE)
