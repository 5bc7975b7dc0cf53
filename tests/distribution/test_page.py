"""The page of the project on a package index: README as it is shown where the files of the repository are not."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path

import pytest
from readme_renderer import markdown

import hatch_build
from tests.processes import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the source archive and return their directory."""
    directory = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return directory


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    """Return what the wheel says of the project."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


class _Addresses(HTMLParser):
    """Collects what the page links to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(name, value or "") for name, value in attrs if name in ("href", "src")]


def test_no_link_and_no_picture_is_relative(metadata: Message) -> None:
    """As the index renders it: every picture and page is found, those within the page by their headline."""
    text = metadata.get_payload()
    assert isinstance(text, str)
    shown = markdown.render(text)
    assert shown is not None
    addresses = _Addresses()
    addresses.feed(shown)
    pictures = [value for name, value in addresses.found if name == "src"]
    assert len(pictures) == len(re.findall(r"!\[", hatch_build.ROOT.joinpath("README.md").read_text("utf-8")))
    assert pictures
    for name, value in addresses.found:
        assert re.match(r"https://" if name == "src" else r"https://|#", value), value


def test_links_lead_to_the_tag_of_the_version(metadata: Message) -> None:
    """What the page of an old version shows stays what it was."""
    home = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))["Homepage"]
    assert f"({home}/raw/v{metadata['Version']}/screenshots/busy-120x40.png)" in str(metadata.get_payload())
    assert f"]({home}/blob/v{metadata['Version']}/ARCHITECTURE.md)" in str(metadata.get_payload())


def test_links_that_have_an_address_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those to elsewhere, to a headline, and whatever is no link at all."""
    (tmp_path / "README.md").write_text("[a](https://x/y) [b](#c) ![d](e.png) [f](g/h.md#i) [l]\n")
    monkeypatch.setattr(hatch_build, "ROOT", tmp_path)
    assert hatch_build.project_page("https://forge/p", "1.2") == (
        "[a](https://x/y) [b](#c) ![d](https://forge/p/raw/v1.2/e.png) [f](https://forge/p/blob/v1.2/g/h.md#i) [l]\n"
    )


def test_the_index_knows_where_to_go(metadata: Message) -> None:
    """The pages that an index shows beside the text."""
    named = [line.split(", ")[0] for line in metadata.get_all("Project-URL", [])]
    assert named == ["Homepage", "Documentation", "Changelog", "Issues"]
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_the_source_archive_has_all_that_its_tests_read(built: Path) -> None:
    """Every file of the repository but pictures of other sizes: whoever packages it runs the tests from the archive."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if not (ROOT / ".git").exists():
        pytest.skip("these files are no repository")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    left_out = {name for name in listed if name not in names and (ROOT / name).exists()}
    assert {name for name in left_out if not re.search(r"^screenshots/.*-(200x60|80x24)\.", name)} == set()
