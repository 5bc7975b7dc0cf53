"""The console scripts ``queuectl`` and ``queuectl-tui``; ``python -m queuectl_entry`` is ``queuectl``, too.

A project may have a package ``core`` of its own on PYTHONPATH, which comes before whatever is installed. So the
packages of these programs are found beside this file, whatever the path says. PYTHONPATH itself stays, for the jobs.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGES = ("core", "queuectl_tui", "queuectl_mcp")
_INTERRUPTED = 130


class _BesideThisFile:
    """Finds the packages in the directory of this file; an entry of ``sys.meta_path``."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [_HERE]) if name in _PACKAGES else None


def _is_foreign(name: str) -> bool:
    """Return whether a module that was imported before this file has the name of one of ours and another place."""
    package = name.partition(".")[0]
    if package not in _PACKAGES:
        return False
    return getattr(sys.modules.get(package), "__path__", None) != [os.path.join(_HERE, package)]


sys.meta_path.insert(0, _BesideThisFile)
for _name in [name for name in sys.modules if _is_foreign(name)]:
    del sys.modules[_name]
try:
    from core.interrupt import end_at_once_on_interrupt, end_quietly

    end_at_once_on_interrupt()
except KeyboardInterrupt:
    os._exit(_INTERRUPTED)


def _read_words_as_utf8() -> None:
    """Start this process again in Python's UTF-8 mode if its locale has ASCII only, as ``LC_ALL=C`` may.

    Words, paths and variables in UTF-8 are then what they are in any other locale. Python goes there by itself, except
    where PYTHONUTF8=0 forbids it; that variable stays as it is, for the jobs.
    """
    if sys.getfilesystemencoding() == "ascii" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def queuectl() -> int:
    """Run the command line of this process and return its exit code."""
    _read_words_as_utf8()
    from core.cli import main

    code = end_quietly(main)
    gc.freeze()  # Python looks for garbage once more when it ends; all of it goes with the process
    return code


def queuectl_tui() -> int:
    """Open the dashboard as the command line of this process says and return the exit code."""
    _read_words_as_utf8()
    from queuectl_tui import main

    return end_quietly(main)


if __name__ == "__main__":
    sys.exit(queuectl())
