"""Addresses of databases: a path, or the URL of a database on a PostgreSQL server."""

from __future__ import annotations

import os
import re

_SERVER = ("postgresql://", "postgres://")
_USER_INFO = re.compile(r"^(\w+://[^/?#@:]*):[^/?#]*@")
_PASSWORD_TERM = re.compile(r"([?&])(?:password|sslpassword)=[^&#]*(?:&|(?=#)|$)")


def is_on_server(address: str) -> bool:
    """Return whether an address is the URL of a database on a server; any other is a path."""
    return address.startswith(_SERVER)


def without_password(address: str) -> str:
    """Return an address without the passwords in it; a path as it is."""
    if not is_on_server(address):
        return address
    return _PASSWORD_TERM.sub(r"\1", _USER_INFO.sub(r"\1@", address)).rstrip("?&")


def absolute_address(address: str) -> str:
    """Return a URL as it is, a path absolute, its ``~`` expanded."""
    return address if is_on_server(address) else os.path.abspath(os.path.expanduser(address))


def short_name(address: str) -> str:
    """Return what names a database where a line has little room: a file's name, ``database@host`` of a server."""
    if not is_on_server(address):
        return os.path.basename(address)
    rest = re.split("[?#]", without_password(address).split("://", 1)[1], maxsplit=1)[0]
    where, _, database = rest.partition("/")
    host = where.rpartition("@")[2]
    return f"{database or 'postgres'}@{host or 'localhost'}"
