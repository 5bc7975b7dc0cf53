"""What is remembered, what the command line says, and what is refused at start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from queuectl_tui import main
from queuectl_tui.options import parse
from queuectl_tui.preferences import Preferences, PreferencesError, load, save


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    path = str(tmp_path / "config" / "dashboard.json")
    kept = Preferences(
        *("nord", "/srv", True, True, {"purge": "x"}, {"dlq": "age, queue"}),
        first_pane="running",
        dead_seen={"/a.db": "2026-01-02T03:04:05+00:00"},
        recent_filters=["exit:1"],
        saved_filters={"films": "ffmpeg"},
    )
    save(path, kept)
    assert load(path) == kept


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert load(str(tmp_path / "none.json")) == Preferences()


def test_what_a_newer_version_wrote_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.json"
    path.write_text('{"theme": "nord", "from_the_future": 1}')
    assert load(str(path)).theme == "nord"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"first_pane": 2}',
        '{"dead_seen": ["/a.db"]}',
        '{"theme": 1}',
        '{"is_ascii": "yes"}',
        '{"keys": {"purge": 1}}',
        '{"columns": {"dlq": ["age"]}}',
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dashboard.json"
    path.write_text(text)
    with pytest.raises(PreferencesError, match=r"dashboard\.json"):
        load(str(path))


def test_a_directory_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file, not a directory")
    save(str(tmp_path / "config" / "dashboard.json"), Preferences(theme="nord"))


def test_a_clash_of_keys_is_refused_at_start_with_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "queuectl").mkdir()
    (tmp_path / "queuectl" / "dashboard.json").write_text(json.dumps({"keys": {"purge": "p"}}))
    monkeypatch.setattr("queuectl_tui._has_terminal", lambda: True)
    assert main(["--db", str(tmp_path / "queue.db")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("queuectl-tui: error: ")
    assert "'purge'" in error
    assert "'pause'" in error


def test_the_options() -> None:
    assert parse(["-c", "3", "--db", "x.db"]).slots == 3
    assert parse(["--no-worker"]).slots == 0
    assert parse(["--read-only"]).slots == 0
    assert parse([]).slots >= 1
    assert parse(["--demo"]).slots == 6
    assert parse(["--theme", "nord", "--ascii"]).theme == "nord"


@pytest.mark.parametrize("arguments", [["-c", "-1"], ["-c", "many"], ["--demo", "--db", "x.db"], ["--fly"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(arguments)
    assert refused.value.code == 2
    assert "queuectl-tui: error:" in capsys.readouterr().err


def test_importing_the_package_and_its_help_load_no_textual() -> None:
    program = (
        "import sys, queuectl_tui\n"
        "try: queuectl_tui.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('textual' in sys.modules, 'sqlite3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
