"""What hatchling calls when it builds a wheel: the manual page and the completions, made from the commands."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent


def shared_files() -> dict[str, str]:
    """Return the texts of all files below ``share``, by path."""
    from core.cli.man_page import man_page
    from core.cli.verbs.completion import script

    return {
        "man/man1/queuectl.1": man_page(_release_date()),
        "bash-completion/completions/queuectl": script("bash"),
        "zsh/site-functions/_queuectl": script("zsh"),
        "fish/vendor_completions.d/queuectl.fish": script("fish"),
    }


def _release_date() -> str:
    """Return the date of the newest version in the changelog, so that a version is built the same on any day."""
    found = re.search(r"^## \[\d[^]]*\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    if found is None:
        raise ValueError("CHANGELOG.md names no version with its date")
    return found[1]


class SharedFiles(BuildHookInterface[BuilderConfig]):
    """Ships ``shared_files`` with a wheel; pipx and the packages of distributions put them where programs look."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files into a directory that lasts until the wheel is made."""
        sys.path.insert(0, str(ROOT))
        self._made = Path(tempfile.mkdtemp(prefix="queuectl-share-"))
        for name, text in shared_files().items():
            path = self._made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        build_data["shared_data"][str(self._made)] = "share"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the directory."""
        shutil.rmtree(self._made)
