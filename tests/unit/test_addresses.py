"""Addresses: what names a server, what is shown of one, and that no password is."""

from __future__ import annotations

import pytest

from core.addresses import absolute_address, is_on_server, is_unclear, short_name, without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:secret@h/db", "postgresql://u@h/db"),
        ("postgres://u:secret@h:5432/db?sslmode=require", "postgres://u@h:5432/db?sslmode=require"),
        ("postgresql://u:s%40cr%2Fet@h1:1,h2:2/db", "postgresql://u@h1:1,h2:2/db"),
        ("postgresql://u@[::1]:5432/db", "postgresql://u@[::1]:5432/db"),
        ("postgresql:///db?host=/run&password=secret&user=u", "postgresql:///db?host=/run&user=u"),
        ("postgresql:///db?user=u&sslpassword=secret", "postgresql:///db?user=u"),
        ("postgresql:///db?options=a@b", "postgresql:///db?options=a@b"),
        ("/a/u:secret@h", "/a/u:secret@h"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    """In the place of the user and among the terms; all else stays, a path whole."""
    assert without_password(address) == shown
    assert not (is_on_server(address) and is_unclear(address))


@pytest.mark.parametrize("password", ["pa/ssw", "p@ssw", "p:a@ssw", "pa?ssw", "pa#ssw", "p@s/s@w"])
def test_a_password_that_is_not_encoded_is_found_and_not_shown(password: str) -> None:
    """The server's library would take a part of it for the host, and say that in its error."""
    address = f"postgresql://user:{password}@host/db"
    assert is_unclear(address)
    assert without_password(address) == "postgresql://user@host/db"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/srv/jobs.db", "jobs.db"),
        ("postgresql://u:secret@db.example.org:5432/queuectl?sslmode=require", "queuectl@db.example.org:5432"),
        ("postgresql:///queuectl", "queuectl@localhost"),
        ("postgresql:///queuectl?host=%2Frun&user=u", "queuectl@localhost"),
        ("postgresql:///queuectl?user=u&host=db&port=5433", "queuectl@db"),
        ("postgresql://u@h", "postgres@h"),
    ],
)
def test_a_short_name_says_which_database_where(address: str, name: str) -> None:
    """For a line with little room."""
    assert short_name(address) == name


def test_a_url_is_absolute_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is from the working directory, or the home of a user."""
    monkeypatch.setenv("HOME", "/home/u")
    assert absolute_address("postgresql:///queuectl") == "postgresql:///queuectl"
    assert absolute_address("~/q.db") == "/home/u/q.db"
