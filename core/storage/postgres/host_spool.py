"""The spool of this host for a database on a server, and the token by which the host is known there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets

from core.locks import create_private, make_private_directories, make_private_directory
from core.spool import Spool
from core.user_directories import user_directory


def spool_of(identity: str) -> Spool:
    """Return this host's spool for the database with an identity; nothing is made."""
    directory = user_directory("XDG_STATE_HOME", "~/.local/state")
    return Spool(os.path.join(directory, hashlib.sha256(identity.encode()).hexdigest()[:16]))


def make(spool: Spool) -> None:
    """Make the spool's directories that are missing, private to this user."""
    make_private_directories(os.path.dirname(spool.root))
    for directory in (spool.root, spool.workers, spool.attempts):
        make_private_directory(directory, owner=(os.geteuid(), os.getegid()))


def host_token(spool: Spool, *, create: bool = True) -> str:
    """Return the token of the host whose spool this is, drawn and kept there at first; empty without ``create``."""
    while True:
        with contextlib.suppress(FileNotFoundError), open(spool.host_token, encoding="ascii") as file:
            token = file.read().strip()
            if token:
                return token
        if not create:
            return ""
        beside = f"{spool.host_token}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = create_private(beside, os.O_WRONLY, is_new=True)
        try:
            os.write(descriptor, secrets.token_hex(16).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(beside, spool.host_token)  # the first one counts
        os.unlink(beside)
