"""The demo's directory goes whole, at whichever moment it is removed, and comes back at none."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import QueueError
from queuectl_tui import demo as module
from queuectl_tui.demo import SCRIPTS, Demo


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return Demo()


def test_a_demo_makes_no_file_until_it_is_told_to(demo: Demo, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    demo.make()
    assert sorted(os.listdir(demo.directory)) == sorted(SCRIPTS)
    assert os.stat(demo.directory).st_mode & 0o777 == 0o700


def test_a_demo_that_was_removed_is_made_no_more(demo: Demo, tmp_path: Path) -> None:
    demo.remove()
    with pytest.raises(QueueError):
        demo.make()
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_removed_while_it_is_made_is_removed_whole(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch removes it on its own thread; what the main thread makes meanwhile goes as well."""
    monkeypatch.setattr(module, "REMOVE_S", 60.0)
    remover = threading.Thread(target=demo.remove)
    real = os.chmod

    def chmod(path: str, mode: int) -> None:
        real(path, mode)
        if remover.ident is None:
            remover.start()
            remover.join(0.3)  # an end that did not wait for the files would have come by now

    monkeypatch.setattr(os, "chmod", chmod)
    demo.make()
    remover.join(60)
    assert not remover.is_alive()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_comes_while_the_directory_is_removed_goes_as_well(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ends late may still write into it."""
    demo.make()
    late = Path(demo.directory, "late")
    real: Callable[..., None] = os.rmdir

    def rmdir(path: str, **options: object) -> None:
        if not late.exists():
            late.touch()
            monkeypatch.setattr(os, "rmdir", real)
        real(path, **options)

    monkeypatch.setattr(os, "rmdir", rmdir)
    demo.remove()
    assert list(tmp_path.iterdir()) == []
