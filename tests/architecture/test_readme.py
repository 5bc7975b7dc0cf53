"""README says what the program does: generated parts are current, and what it asks people to type works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from core import Queue, View
from queuectl_tui import keymap, preferences
from tests import generate_docs
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.long

TEXT = generate_docs.README.read_text(encoding="utf-8")


def test_the_generated_parts_are_current() -> None:
    """Each table in README is what the program's own tables say now; ``make docs`` writes them."""
    assert generate_docs.generated(TEXT) == TEXT


def block_after(marker: str) -> str:
    """Return the code block that follows a marker."""
    found = re.search(rf"<!-- tested: {marker} -->\n```\w+\n(.*?)```", TEXT, re.S)
    assert found is not None
    return found[1]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which ``queuectl`` is this program and its database is a fresh one."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    script = bin_directory / "queuectl"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m core "$@"\n')
    script.chmod(0o755)
    root = str(generate_docs.ROOT)
    return {
        **os.environ,
        "PATH": f"{bin_directory}:{os.environ['PATH']}",
        "PYTHONPATH": root,
        "QUEUECTL_DB": str(tmp_path / "queue.db"),
    }


def test_the_five_minutes_can_be_pasted_as_they_stand(environment: dict[str, str], tmp_path: Path) -> None:
    """Every command of the tour runs, and the jobs end as the text says."""
    script = "set -e\n" + block_after("this block")
    done = subprocess.run(
        ["sh", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Job added successfully (ID: 1)" in done.stdout
    assert "Hello Queue" in done.stdout
    assert "exit 3" in done.stdout
    for words in ("Job 2 failed (attempt 1/2). Retrying in 2 seconds", "some died", "some did not complete"):
        assert words in done.stdout


def test_work_that_waits_for_work_can_be_pasted_as_it_stands(environment: dict[str, str], tmp_path: Path) -> None:
    """The dead step is mended and the chain goes on; what was cancelled with its dependents comes back."""
    shown = run_block(block_after("these steps"), environment, tmp_path)
    for words in ("build died", "stuck: 2 is dead", "it is stuck", "Job 3 (ship) released", "some lines"):
        assert words in shown
    with Queue(environment["QUEUECTL_DB"]) as queue:
        assert {job.id: job.state.value for job in queue.jobs(View(), limit=100)} == {
            **dict.fromkeys((1, 2, 3, 4), "completed"), **dict.fromkeys(range(5, 12), "pending")
        }  # fmt: skip
        assert queue.tree(8).edges
        assert {(edge.job_id, edge.on_id) for edge in queue.edges_of(range(5, 12))} == {
            *((6, 5), (7, 6), (8, 5), (8, 6), (8, 7), (11, 9), (11, 10))
        }


def test_blocks_can_be_pasted_one_after_the_other(environment: dict[str, str], tmp_path: Path) -> None:
    """On one queue, as somebody does who reads on: no command is refused, and each speaks of the jobs of its block."""
    blocks = [block_after(marker) for marker in ("this block", "these steps", "these resources")]
    with open(tmp_path / "printed", "w+", encoding="utf-8") as printed:
        subprocess.run(
            ["sh", "-c", "\n".join(blocks)],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            timeout=120,
            check=False,
        )
        printed.seek(0)
        text = printed.read()
    assert "queuectl: error" not in text, text
    assert re.search("^evaluate on 0$", text, re.M), text


def test_schedules_are_added_as_the_text_says(environment: dict[str, str], tmp_path: Path) -> None:
    """And the one that is run now has a job."""
    shown = run_block(block_after("these schedules"), environment, tmp_path)
    assert "every 15m" in shown
    assert "Job added successfully (ID: 1)" in shown
    assert "At 02:00 every day" in shown
    assert "run by hand" in shown


def test_jobs_share_resources_as_the_text_says(environment: dict[str, str], tmp_path: Path) -> None:
    """Each has its units, and a lock is one job's at a time; nothing is in use at the end."""
    shown = run_block(block_after("these resources"), environment, tmp_path)
    assert re.search("^evaluate on 0$", shown, re.M), shown
    ended = re.findall(r"^Job (\d)(?: \(evaluate\))? completed", shown, re.M)
    assert [number for number in ended if number != "4"] == ["1", "2", "3"], shown
    assert re.search(r"^gpu +2 +0 +0 +-$", shown, re.M), shown
    assert "Resource gpu: not set; there is 1" in shown


@pytest.mark.skipif(shutil.which("curl") is None, reason="the recipe of a webhook needs curl")
def test_hooks_send_mail_notify_and_call_as_the_text_says(environment: dict[str, str], tmp_path: Path) -> None:
    """Each recipe runs as it stands, but for the address of the webhook: a mail, a note on the desktop, a request."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("mail", "notify-send"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/{name}\ncat >> {tmp_path}/{name}\n')
        (programs / name).chmod(0o755)
    environment = {**environment, "PATH": f"{programs}:{environment['PATH']}"}
    requests: list[tuple[str | None, bytes]] = []
    with HTTPServer(("127.0.0.1", 0), _noting(requests)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            block = block_after("these hooks").replace("https://example.org", f"http://127.0.0.1:{server.server_port}")
            run_block(block, environment, tmp_path)
            run_block("queuectl worker --drain || true", environment, tmp_path)
            # the digest waits for a minute: what is due later is not waited for
            run_block("queuectl retry --queue hooks; queuectl worker --drain || true", environment, tmp_path)
        finally:
            server.shutdown()
    ((kind, body),) = requests
    event = json.loads(body)
    assert (kind, event["event"], event["id"], event["last_words"]) == ("application/json", "dead", 1, "disk full")
    subject, event_line = ((tmp_path / "mail").read_text().splitlines()[index] for index in (1, 3))
    assert (subject, json.loads(event_line)["id"]) == ("1 jobs died: disk full", 1)
    notes = [line for line in (tmp_path / "notify-send").read_text().splitlines() if not line.startswith("{")]
    assert sorted(notes) == ["media is done", "the build died"]


def _noting(requests: list[tuple[str | None, bytes]]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that notes kind and body of each request, and answers that all is well."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def test_two_hosts_share_a_queue_as_the_text_says(environment: dict[str, str], tmp_path: Path) -> None:
    """Each part of the block as it stands, but for the server's name; that of the hosts by two hosts."""
    with tempfile.TemporaryDirectory(prefix="queuectl-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        with PostgresServer(Path(name) / "server") as server:
            server.start()
            address = server.url("queuectl").replace("postgres@", "queuectl@")
            block = block_after("these hosts").replace("postgresql://queuectl@db.example.org/queuectl", f"'{address}'")
            on_server, on_host, anywhere = re.split(r"^# .*\n", block, flags=re.M)[1:]
            commands = {"PATH": f"{server.programs}:{environment['PATH']}", "PGHOST": str(server.directory)}
            as_administrator = {**environment, **commands, "PGUSER": "postgres"}
            run_block(on_server, as_administrator, tmp_path, stdin="secret\nsecret\n")
            hosts = [{**environment, "XDG_STATE_HOME": str(tmp_path / host)} for host in ("one", "other")]
            try:
                for host in hosts:
                    run_block(on_host, host, tmp_path)
                shown = run_block(anywhere, {**hosts[0], "QUEUECTL_DB": address}, tmp_path)
            finally:
                run_block("queuectl worker stop", {**hosts[0], "QUEUECTL_DB": address}, tmp_path)
    assert "Job added successfully (ID: 1)" in shown
    assert os.uname().nodename in shown
    assert shown.count("(this one)") == 1
    assert len(re.findall(r"^ *\d+ .*\blive\b", shown, re.M)) == 2


def run_block(script: str, environment: dict[str, str], directory: Path, stdin: str = "") -> str:
    """Run lines of the text, of which none may fail; return what they print."""
    with open(directory / "printed", "w+", encoding="utf-8") as printed:
        done = subprocess.run(
            ["sh", "-ec", script],
            env=environment,
            cwd=directory,
            input=stdin,
            stdout=printed,
            stderr=printed,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # without a terminal a password is read from stdin
        )
        printed.seek(0)
        text = printed.read()
    assert done.returncode == 0, text
    return text


def test_the_library_example_runs(environment: dict[str, str], tmp_path: Path) -> None:
    """The ten lines print every job with its state and output."""
    done = subprocess.run(
        [sys.executable, "-c", block_after("this program")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 completed hello from a program",
        "2 completed 0",
        "3 completed 1",
        "4 completed 2",
    ]


def test_the_dashboards_file_remaps_what_it_names(tmp_path: Path) -> None:
    """The example is understood whole, and its keys clash with no others."""
    path = tmp_path / "dashboard.json"
    path.write_text(block_after("this file"))
    loaded = preferences.load(str(path))
    assert set(json.loads(path.read_text())) <= set(preferences.Preferences._fields)
    assert {action.id: action.keys for action in keymap.remapped(loaded.keys)}["retry"] == ("x",)


def test_every_file_that_the_text_links_to_exists() -> None:
    """No picture or page that README names is missing."""
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (generate_docs.ROOT / target).exists(), target


def ways_from_other_queues() -> list[str]:
    """Return the commands of the table for those who come from another queue."""
    table = TEXT.partition("## Coming from another queue")[2].partition("\n## ")[0]
    return re.findall(r"`(queuectl [^`]*)` \|$", table, re.M)


def test_what_other_queues_users_are_told_works(environment: dict[str, str], tmp_path: Path) -> None:
    """Each command of the table, in its order, on one queue; the worker that one of them starts ends by a later one."""
    (tmp_path / "make").write_text("#!/bin/sh\necho made\n")
    (tmp_path / "make").chmod(0o755)
    environment = {**environment, "PATH": f"{tmp_path}:{environment['PATH']}"}
    commands = ways_from_other_queues()
    assert len(commands) == 19
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            if command.startswith("queuectl worker start"):
                quiet = subprocess.DEVNULL
                started.append(subprocess.Popen(shlex.split(command), env=environment, stdout=quiet, stderr=quiet))
                continue
            if command == "queuectl worker stop":
                alive = ["sh", "-c", "until queuectl worker list | grep -q alive; do sleep 0.1; done"]
                subprocess.run(alive, env=environment, check=True, timeout=60)
            done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
            # the job was made by then
            assert done.returncode == (command == "queuectl cancel 1"), (command, done.stdout, done.stderr)
        assert [worker.wait(60) for worker in started] == [0]
    finally:
        for worker in started:
            worker.kill()
            worker.wait()
