"""Addresses of databases: a path, or the URL of a database on a PostgreSQL server."""

from __future__ import annotations

import os
import re

# the patterns are compiled when a URL asks for them: who uses a file does not wait for that
_SERVER = ("postgresql://", "postgres://")
_USER_INFO = r"^(\w+://[^/?#@:]*):[^/?#]*@"
#: The same where a password was not encoded as it must be: all up to the last "@" may belong to it.
_UNCLEAR_USER_INFO = r"(?s)^(\w+://[^/?#@:]*):.*@"
#: A host that is given as a term: not the directory of a socket.
_HOST_TERM = r"(?s)^(?:.*&)?host=((?!/|%2[Ff])[^&#]+).*$|^.*$"
_HOST = r"[^:@\[\]]*(?::\d*)?|\[[^@\[\]]*\](?::\d*)?"
_PASSWORD_TERM = r"([?&])(?:password|sslpassword)=[^&#]*(?:&|(?=#)|$)"


def is_on_server(address: str) -> bool:
    """Return whether an address is the URL of a database on a server; any other is a path."""
    return address.startswith(_SERVER)


def is_unclear(address: str) -> bool:
    """Return whether the URL of a server is misread by its library, since a password in it is not encoded."""
    place, _, database = re.split("[?#]", address.split("://", 1)[1], maxsplit=1)[0].partition("/")
    hosts = place.split("@", 1)[-1]
    return "@" in database or any(re.fullmatch(_HOST, host) is None for host in hosts.split(","))


def without_password(address: str) -> str:
    """Return an address without the passwords in it; a path as it is."""
    if not is_on_server(address):
        return address
    user_info = _UNCLEAR_USER_INFO if is_unclear(address) else _USER_INFO
    return re.sub(_PASSWORD_TERM, r"\1", re.sub(user_info, r"\1@", address)).rstrip("?&")


def absolute_address(address: str) -> str:
    """Return a URL as it is, a path absolute, its ``~`` expanded."""
    return address if is_on_server(address) else os.path.abspath(os.path.expanduser(address))


def short_name(address: str) -> str:
    """Return what names a database where a line has little room: a file's name, ``database@host`` of a server."""
    if not is_on_server(address):
        return os.path.basename(address)
    rest, _, terms = without_password(address).split("://", 1)[1].partition("?")
    where, _, database = rest.partition("/")
    host = where.rpartition("@")[2] or re.sub(_HOST_TERM, r"\1", terms)
    return f"{database or 'postgres'}@{host or 'localhost'}"
