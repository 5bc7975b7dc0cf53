"""What hatchling calls when it builds: the page of the project, and in a wheel the manual page and the completions."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent


_LINK = re.compile(r"(!?)(\[[^]]*\])\((?!\w+:|#)([^)\s]+)\)")


def project_page(home: str, version: str) -> str:
    """Return README with links and pictures that work where the files of the repository are not: on a package index.

    They lead to the version's tag in the repository at the address ``home``.
    """

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}{link[2]}({home}/{kind}/v{version}/{link[3]})"

    return _LINK.sub(absolute, (ROOT / "README.md").read_text("utf-8"))


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


class ProjectPage(MetadataHookInterface):
    """Sets the page that a package index shows."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``; ``version`` is read from where the program has it."""
        text = (ROOT / "core" / "version.py").read_text("utf-8")
        version = re.search(r'__version__ = "([^"]+)"', text)
        if version is None:
            raise ValueError("core/version.py names no version")
        page = project_page(metadata["urls"]["Homepage"], version[1])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


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
