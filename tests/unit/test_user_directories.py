"""Where a user's own files are: as the package platformdirs says it, which is asked here and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import platformdirs.macos
import platformdirs.unix
import pytest

from core.user_directories import user_directory


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("value", [None, "", "relative/path", "/absolute", "/with space/ü"])
def test_directories_are_those_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, value: str | None
) -> None:
    """On Linux and macOS, with and without the variables of the XDG standard; so that no queue seems to be gone."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    kind = platformdirs.macos.MacOS if system == "darwin" else platformdirs.unix.Unix
    theirs = kind("queuectl", appauthor=False)
    assert user_directory("XDG_DATA_HOME", "~/.local/share") == theirs.user_data_dir
    assert user_directory("XDG_CONFIG_HOME", "~/.config") == theirs.user_config_dir
