"""The files that a forge reads: nothing runs them here, so their form and what they refer to is checked."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.processes import ROOT

FORGE = ROOT / ".github"
SCHEMAS = {
    "workflows/ci.yml": "vendor.github-workflows",
    "workflows/release.yml": "vendor.github-workflows",
    "dependabot.yml": "vendor.dependabot",
    "ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/idea.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}
TEXTS = {str(path.relative_to(FORGE)): path.read_text("utf-8") for path in FORGE.rglob("*.yml")}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_has_the_form_that_the_forge_asks_for(name: str) -> None:
    """The schema of the forge, which comes with the checker, accepts it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[name], str(FORGE / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_is_checked() -> None:
    """A new one gets its schema here; the checker of workflows reads its own."""
    assert set(TEXTS) == {*SCHEMAS, "zizmor.yml"}


def test_workflows_call_targets_that_there_are() -> None:
    """What they run by make stands in the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    called = [word for text in TEXTS.values() for word in re.findall(r"run: make (\w+)", text)]
    assert called
    assert [word for word in called if not re.search(rf"^{word}:", makefile, re.M)] == []


def test_workflows_name_a_version_of_each_action_and_no_more_rights_than_they_need() -> None:
    """An action without a version changes under us; what is not granted cannot be stolen."""
    for name in ("workflows/ci.yml", "workflows/release.yml"):
        text = TEXTS[name]
        assert all("@" in action for action in re.findall(r"uses: (\S+)", text))
        assert re.search(r"^permissions:\n  contents: read$", text, re.M)
        assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_a_release_is_the_version_that_its_tag_names() -> None:
    """The line that reads the version finds it, and the changelog names versions as the workflow looks for them."""
    (expression,) = re.findall(r"sed -n '(s/.*)' core/version\.py", TEXTS["workflows/release.yml"])
    done = subprocess.run(["sed", "-n", expression, "core/version.py"], cwd=ROOT, capture_output=True, text=True)
    version = done.stdout.strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_all_addresses_are_those_of_one_repository() -> None:
    """Whoever moves the project changes them all."""
    found = re.search(r'^Homepage = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert found is not None
    texts = [*TEXTS.values(), *((ROOT / name).read_text("utf-8") for name in ("README.md", "SECURITY.md"))]
    addresses = [address for text in texts for address in re.findall(r"https://github\.com/[^\s)\"]+", text)]
    assert addresses
    assert [address for address in addresses if not address.startswith(found[1])] == []
