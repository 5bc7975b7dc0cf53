"""What the wheel brings along: the packages, and the manual page and completions that are made when it is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build
from core.cli.commands import COMMANDS
from core.cli.man_page import escaped
from core.cli.parser import build_parser
from core.rules.settings import SETTINGS
from tests.processes import ROOT

PACKAGES = ("core", "queuectl_tui", "queuectl_mcp")
FILES = hatch_build.shared_files()
PAGE = FILES["man/man1/queuectl.1"]
REQUESTS = {".TH", ".SH", ".SS", ".B", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi"}


def build(directory: Path) -> Path:
    """Build the wheel of this source tree without the network and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the wheel by name, ``share/…`` by where they are installed."""
    with zipfile.ZipFile(build(tmp_path_factory.mktemp("wheel"))) as archive:
        return {re.sub(r"^[^/]*\.data/data/", "", name): archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_the_page_and_the_completions(wheel: dict[str, bytes]) -> None:
    """They are those that the commands of this version give, where man and the shells look for them."""
    assert {name for name in wheel if name.startswith("share/")} == {f"share/{name}" for name in FILES}
    for name, text in FILES.items():
        assert wheel[f"share/{name}"].decode() == text
    assert set(FILES) == {
        "man/man1/queuectl.1",
        "bash-completion/completions/queuectl",
        "zsh/site-functions/_queuectl",
        "fish/vendor_completions.d/queuectl.fish",
    }


def test_the_wheel_has_all_modules_and_no_tests(wheel: dict[str, bytes]) -> None:
    """Every file of the packages that git knows of, the scripts' module, and nothing else."""
    found = {name for name in wheel if "/" not in name or name.split("/")[0] in PACKAGES}
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert found == {*wanted, "queuectl_entry.py"}


def test_a_wheel_is_the_same_whenever_it_is_built(tmp_path: Path, wheel: dict[str, bytes]) -> None:
    """A second build has the same bytes, so that anyone can check what was published."""
    first, second = build(tmp_path / "first"), build(tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


def test_the_page_names_every_command_option_and_setting() -> None:
    """What the help of a command shows is in its section."""
    for command in COMMANDS.values():
        start = f".SS {escaped(f'{command.name} {command.usage}')}\n"
        assert PAGE.count(start) == 1, command.name
        section = re.split(r"^\.S[SH] ", PAGE.partition(start)[2], maxsplit=1, flags=re.M)[0]
        for title, rows in build_parser(command).sections():
            for term, _ in rows:
                is_there = rf"\fB{escaped(term)}\fR" in section
                assert is_there is (title != "common options" and term != "-h, --help"), (command.name, term)
    for key in SETTINGS:
        assert rf"\fB{escaped(key)}\fR" in PAGE


def test_the_page_is_made_of_plain_requests() -> None:
    """ASCII, no line that would be a request by accident, every escape one that formatters know, no stray hyphen."""
    assert PAGE.isascii()
    for line in PAGE.splitlines():
        if line.startswith((".", "'")):
            assert line.split(" ")[0] in REQUESTS, line
        for escape in re.findall(r"\\(.{0,3})", line):
            assert re.match(r"-|&|f[BR]|\((rs|aq|dq|ga|ha|ti)|\[u", escape), line
        if not line.startswith(".TH"):
            assert not re.search(r"(?<!\\)-", line), line


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="this system has no mandoc")
def test_mandoc_finds_nothing_wrong() -> None:
    """The stricter of the two formatters is silent."""
    done = subprocess.run(["mandoc", "-T", "lint"], input=PAGE, text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("groff") is None, reason="this system has no groff")
def test_groff_warns_of_nothing_and_shows_the_commands() -> None:
    """Every warning is on; what a person reads has quotes, dots and dashes as they were typed."""
    command = ["groff", "-man", "-ww", "-Tutf8", "-P-c", "-P-b", "-P-u"]
    done = subprocess.run(command, input=PAGE, text=True, capture_output=True, timeout=60, check=True)
    assert done.stderr == ""
    assert 'queuectl enqueue "make test > log.txt"' in done.stdout
    assert "--max-attempts N" in done.stdout
    assert "./import.sh" in done.stdout


def test_zsh_completes_at_the_first_tab() -> None:
    """A function's file is run when it is first needed: it ends by completing, where it was not read by ``eval``."""
    text = FILES["zsh/site-functions/_queuectl"]
    assert text.startswith("#compdef queuectl\n")
    assert text.splitlines()[-1] == '[[ "${funcstack[1]}" != _queuectl ]] || _bash_complete -F _queuectl'


@pytest.mark.parametrize(
    ("shell", "name"),
    [
        ("bash", "bash-completion/completions/queuectl"),
        ("zsh", "zsh/site-functions/_queuectl"),
        ("fish", "fish/vendor_completions.d/queuectl.fish"),
    ],
)
def test_a_shell_can_read_its_completions(shell: str, name: str) -> None:
    """Each shell that this system has takes its file for well-formed."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"this system has no {shell}")
    done = subprocess.run([program, "-n"], input=FILES[name], text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
