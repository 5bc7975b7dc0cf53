"""What the dashboard remembers between runs: one small JSON file in the user's configuration directory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from core.user_directories import user_directory

#: How many filters are remembered without a name.
MAX_FILTERS = 30


class PastFilter(NamedTuple):
    """A filter that was kept before, with its name if it has one."""

    text: str
    name: str = ""


class Preferences(NamedTuple):
    """What is remembered; ``theme`` is ``None`` until one was chosen.

    ``keys`` remaps actions: id -> keys with spaces between them. ``columns`` holds the columns that were chosen for a
    pane: ``pending``, ``running``, ``completed`` or ``dlq`` -> their names in order, with commas between them.
    ``first_pane`` is the pane to start in; ``None`` is the one where something needs a user. ``dead_seen`` holds,
    for a database's path, when the newest dead job that was looked at died. ``recent_filters`` are the last filters
    that were kept, the newest first; ``saved_filters`` are those with a name: name -> text.
    """

    theme: str | None = None
    last_directory: str | None = None
    is_ascii: bool = False
    has_bell: bool = False
    keys: Mapping[str, str] = MappingProxyType({})
    columns: Mapping[str, str] = MappingProxyType({})
    first_pane: str | None = None
    dead_seen: Mapping[str, str] = MappingProxyType({})
    recent_filters: Sequence[str] = ()
    saved_filters: Mapping[str, str] = MappingProxyType({})


class PreferencesError(ValueError):
    """The file is there but cannot be understood; the message names it."""


def default_path() -> str:
    """Return where the file is: ``dashboard.json`` in the user's configuration directory for queuectl."""
    return os.path.join(user_directory("XDG_CONFIG_HOME", "~/.config"), "dashboard.json")


def load(path: str) -> Preferences:
    """Return what the file says, or the defaults without one; raise ``PreferencesError`` when it makes no sense."""
    try:
        with open(path, encoding="utf-8") as file:
            data: Any = json.load(file)
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError) as error:
        raise PreferencesError(f"{path}: {error}; mend or remove it") from None
    if not isinstance(data, dict):
        raise PreferencesError(f"{path}: an object is expected; mend or remove it")
    preferences = Preferences(**{key: value for key, value in data.items() if key in Preferences._fields})
    if wrong := _wrong_field(preferences):
        raise PreferencesError(f"{path}: {wrong!r} has a value of the wrong kind; mend or remove it")
    return preferences


#: The fields that are tables of texts.
_TABLES = ("keys", "columns", "dead_seen", "saved_filters")


def _wrong_field(preferences: Preferences) -> str | None:
    texts: tuple[Any, ...] = (preferences.theme, preferences.last_directory, preferences.first_pane)
    for name, value in zip(("theme", "last_directory", "first_pane"), texts, strict=True):
        if not isinstance(value, (str, type(None))):
            return name
    switches: tuple[Any, ...] = (preferences.is_ascii, preferences.has_bell)
    for name, value in zip(("is_ascii", "has_bell"), switches, strict=True):
        if not isinstance(value, bool):
            return name
    tables: tuple[Any, ...] = (
        *(preferences.keys, preferences.columns, preferences.dead_seen, preferences.saved_filters),
    )
    for name, table in zip(_TABLES, tables, strict=True):
        if not (isinstance(table, Mapping) and all(isinstance(value, str) for value in table.values())):
            return name
    recent: Any = preferences.recent_filters
    is_list = isinstance(recent, (list, tuple)) and all(isinstance(text, str) for text in recent)
    return None if is_list else "recent_filters"


def save(path: str, preferences: Preferences) -> None:
    """Write the file whole or not at all; a directory that cannot be written is no reason to stop."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = f"{path}.{os.getpid()}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            data = preferences._asdict()
            json.dump({**data, **{name: {**data[name]} for name in _TABLES}}, file, indent=2)
            file.write("\n")
        os.replace(temporary, path)
    except OSError:
        return


class FilterMemory:
    """The filters that were kept, in the preferences that ``read`` returns and ``write`` replaces."""

    def __init__(self, read: Callable[[], Preferences], write: Callable[[Preferences], None]) -> None:
        self._read = read
        self._write = write

    def past(self) -> list[PastFilter]:
        """Return the last filters that were kept, the newest first, then those with a name."""
        preferences = self._read()
        named = [PastFilter(text, name) for name, text in sorted(preferences.saved_filters.items())]
        return [*(PastFilter(text) for text in preferences.recent_filters), *named]

    def remember(self, text: str) -> None:
        """Remember a filter as the newest."""
        preferences = self._read()
        recent = [text, *(other for other in preferences.recent_filters if other != text)]
        self._write(preferences._replace(recent_filters=recent[:MAX_FILTERS]))

    def save(self, text: str, name: str) -> None:
        """Save a filter by a name, in the place of the one that had it; no name removes the filter's names."""
        preferences = self._read()
        saved = preferences.saved_filters
        kept = {**saved, name: text} if name else {other: said for other, said in saved.items() if said != text}
        self._write(preferences._replace(saved_filters=kept))
