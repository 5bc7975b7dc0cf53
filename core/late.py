"""Modules that are imported when they are first used, so that a short-lived program pays only for what it needs."""

from __future__ import annotations

from importlib import import_module


class Late:
    """Stands for a module: whatever is asked of it is asked of the module, which is imported for the first answer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: object = None

    def __getattr__(self, attribute: str) -> object:
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, attribute)
