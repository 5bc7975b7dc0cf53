"""The directories of a user's own files, without the 17 ms that the package platformdirs costs for the same paths."""

from __future__ import annotations

import os
import sys


def user_directory(variable: str, usual: str) -> str:
    """Return the user's directory for queuectl, in the absolute path that a variable names, else in the usual place.

    ``variable`` is one of the XDG standard, which says that a relative path in it counts as none. On macOS the usual
    place is ``~/Library/Application Support``. Nothing is made.
    """
    parent = os.environ.get(variable, "")
    if not os.path.isabs(parent):
        parent = os.path.expanduser("~/Library/Application Support" if sys.platform == "darwin" else usual)
    return os.path.join(parent, "queuectl")
