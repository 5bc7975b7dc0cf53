"""``queuectl mcp`` as an agent meets it: the SDK's own client talks to the program over stdin and stdout."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra is not installed")

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp_types import TextContent, TextResourceContents

from core.execution.worker import Worker
from core.model import NewJob, State, View
from core.queue import Queue
from queuectl_mcp.tools import MAX_JOBS
from tests.processes import ROOT, wait_for

pytestmark = pytest.mark.long

READING = ["status", "list", "show", "logs", "wait"]
ACTING = ["enqueue", "retry", "cancel"]
#: What an agent's context pays for the eight tools, and for a list of twenty jobs, in bytes.
TOOLS_CEILING, LIST_CEILING = 5000, 1800


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Open the queue that the server is to serve; all that still runs is killed in the end."""
    with Queue(tmp_path / "queue.db") as opened:
        yield opened
        for job_id in opened.ids(View((State.RUNNING,))):
            opened.cancel(job_id, kill=True)
            Worker(opened, drain=True).run()


class Agent:
    """A client, and how its answers are read."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tool(self, called: str, /, **arguments: object) -> str:
        """Call a tool that must succeed and return its text."""
        answer = await self.client.call_tool(called, arguments)
        assert not answer.is_error, answer
        assert answer.structured_content is None
        (content,) = answer.content
        assert isinstance(content, TextContent)
        return str(content.text)

    async def refusal(self, called: str, /, **arguments: object) -> str:
        """Call a tool that must refuse and return what it says."""
        answer = await self.client.call_tool(called, arguments)
        assert answer.is_error, answer
        (content,) = answer.content
        assert isinstance(content, TextContent)
        return str(content.text)


@contextlib.asynccontextmanager
async def serving(queue: Queue, *arguments: str) -> AsyncIterator[Agent]:
    """Start the server and connect; nothing may be on its stderr when it has ended."""
    log = Path(queue.path).parent / "stderr"
    environment = {"QUEUECTL_DB": queue.path, "PATH": os.environ["PATH"], "SECRET_TOKEN": "hush-hush"}
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "core", "mcp", *arguments], env=environment, cwd=ROOT
    )
    with log.open("w") as written:
        async with Client(stdio_client(parameters, errlog=written)) as client:
            yield Agent(client)
    assert log.read_text() == ""


async def test_the_tools_are_eight_and_say_what_they_may_do(queue: Queue) -> None:
    """Five look, three act; a client asks the person by these marks. Their description stays short."""
    async with serving(queue) as agent:
        found = await agent.client.list_tools()
    assert [tool.name for tool in found.tools] == [*READING, *ACTING]
    marks = {tool.name: tool.annotations for tool in found.tools}
    for name, mark in marks.items():
        assert mark is not None
        assert mark.read_only_hint is (name in READING)
        assert bool(mark.destructive_hint) is (name in ACTING)
    assert [name for name, mark in marks.items() if mark is not None and mark.idempotent_hint] == ["cancel"]
    assert all(tool.output_schema is None for tool in found.tools)
    assert len(found.model_dump_json(by_alias=True, exclude_none=True)) < TOOLS_CEILING


async def test_a_read_only_server_has_no_tool_that_acts(queue: Queue) -> None:
    """Nothing to ask a person about, and no way round it by name."""
    queue.enqueue("true")
    async with serving(queue, "--read-only") as agent:
        found = await agent.client.list_tools()
        assert [tool.name for tool in found.tools] == READING
        for name in ACTING:
            assert "Unknown tool" in await agent.refusal(name, jobs=[1], command="true", cwd="/")
        assert "1 pending" in await agent.tool("status")
    assert queue.job(1).state is State.PENDING


async def test_a_job_goes_from_enqueue_to_its_output(queue: Queue) -> None:
    """With a worker of the server's own: added, awaited, read, shown, listed."""
    async with serving(queue, "-c", "1") as agent:
        assert await agent.tool("enqueue", command="echo hello; echo more; exit 3", cwd="/", name="first") == (
            "job 1 was added"
        )
        text = await agent.tool("wait", jobs=["first"])
        assert text.startswith("all finished\n")
        assert text.splitlines()[2].split("\t")[:6] == ["1", "first", "dead", "default", "1/1", "exit 3"]
        assert await agent.tool("logs", job=1) == "[attempt 1, bytes 0-11 of 11]\nhello\nmore\n"
        assert await agent.tool("logs", job="first", lines=1) == "[attempt 1, bytes 6-11 of 11]\nmore\n"
        shown = await agent.tool("show", job="first")
        for words in ("job 1 (first): dead since", "cwd: /\n", "label mcp", "attempt 1: failed, exit 3"):
            assert words in shown
        assert "1 worker alive, 1 slot" in await agent.tool("status")
        assert await agent.tool("retry", jobs=[1]) == "job 1 will be tried again"
        await agent.tool("wait", jobs=[1])
        assert (await agent.tool("logs", job=1, attempt=2)).startswith("[attempt 2,")
    job = queue.job(1)
    assert (job.label, job.max_attempts, job.cwd) == ("mcp", 1, "/")


async def test_without_a_worker_each_answer_says_so(queue: Queue) -> None:
    """An agent would wait for ever for what nobody runs."""
    async with serving(queue) as agent:
        for text in (
            await agent.tool("enqueue", command="true", cwd="/"),
            await agent.tool("status"),
            await agent.tool("wait", jobs=[1], timeout_s=0),
            await agent.tool("show", job=1),
        ):
            assert "no worker is alive" in text
        assert await agent.tool("cancel", jobs=[1]) == "job 1 is cancelled"
        assert "no worker is alive" in await agent.tool("retry", jobs=[1])


async def test_a_name_makes_enqueue_safe_to_repeat(queue: Queue) -> None:
    """The same job again is no error and adds nothing; another one of that name is refused."""
    async with serving(queue) as agent:
        await agent.tool("enqueue", command="true", cwd="/", name="once")
        assert await agent.tool("enqueue", command="true", cwd="/", name="once") == (
            "nothing was added: job 1 is this one already, pending"
        )
        assert "exists already" in await agent.refusal("enqueue", command="false", cwd="/", name="once")
    assert queue.counts().of(State.PENDING) == 1


#: Calls that are refused, with words of what is said; jobs: 1 pending, 2 cancelled, 3 completed.
REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("enqueue", {"command": "true", "cwd": "relative"}, "not the absolute path of a directory that exists"),
    ("enqueue", {"command": "true", "cwd": "/no/such/place"}, "not the absolute path of a directory that exists"),
    ("enqueue", {"command": "true"}, "cwd"),
    ("enqueue", {"command": "", "cwd": "/"}, "command"),
    ("enqueue", {"command": "true", "cwd": "/", "max_attempts": 0}, "max"),
    ("enqueue", {"command": "true", "cwd": "/", "timeout": "soon"}, "not a duration"),
    ("cancel", {"jobs": []}, f"1 to {MAX_JOBS}"),
    ("cancel", {"jobs": list(range(1, MAX_JOBS + 2))}, f"1 to {MAX_JOBS}"),
    ("cancel", {"jobs": [99]}, "no job 99"),
    ("cancel", {"jobs": ["*"]}, "no job *"),
    ("cancel", {"jobs": "all"}, "jobs"),
    ("cancel", {"jobs": [2]}, "cannot cancel job 2: it is cancelled"),
    ("cancel", {"jobs": [{"state": "pending"}]}, "jobs"),
    ("retry", {"jobs": [99]}, "no job 99"),
    ("wait", {"jobs": ["nobody"]}, "no job nobody"),
    ("show", {"job": 99}, "no job 99"),
    ("logs", {"job": 1}, "has not started"),
    ("logs", {"job": 3, "lines": 0}, "lines is a number from 1"),
    ("logs", {"job": 3, "max_bytes": 32 * 1024 + 1}, "bytes is a number from 1 to 32768"),
    ("logs", {"job": 3, "offset": 4}, "offset is a number from 0 to 3"),
    ("logs", {"job": 3, "attempt": 2}, "no attempt 2"),
    ("list", {"limit": 0}, "limit is a number from 1 to 100"),
    ("list", {"limit": 101}, "limit is a number from 1 to 100"),
    ("list", {"state": "odd"}, "odd"),
    ("list", {"after": 99}, "no job 99"),
]


async def test_what_cannot_be_done_is_refused_in_a_line(queue: Queue) -> None:
    """An error that the agent can act on, and nothing changed; the server lives on."""
    queue.enqueue("echo no", name="one")
    queue.enqueue("true")
    queue.cancel(2)
    queue.enqueue("echo hi", queue="own")
    Worker(queue, queues=("own",), once=True).run()
    before = queue.counts()
    async with serving(queue) as agent:
        for called, arguments, words in REFUSED:
            assert words in await agent.refusal(called, **arguments), (called, arguments)
        assert "1 pending" in await agent.tool("status")
    assert queue.counts() == before


async def test_there_is_no_tool_that_forgets_or_stops_more_than_it_names(queue: Queue) -> None:
    """By no name can an agent purge, prune, edit, undo, configure, back up, pause, or stop a worker."""
    names = (
        "purge",
        "prune",
        "dlq",
        "dlq_purge",
        "edit",
        "undo",
        "config",
        "backup",
        "pause",
        "worker_stop",
        "restore",
    )
    async with serving(queue) as agent:
        for name in names:
            assert "Unknown tool" in await agent.refusal(name, jobs=[1], all=True)


async def test_a_server_of_one_queue_sees_all_and_acts_on_its_own(queue: Queue) -> None:
    """Jobs of other queues are looked at alone; one of them among others stops the whole call."""
    queue.enqueue_many([NewJob("true", queue="other"), NewJob("true", queue="own"), NewJob("true", queue="own")])
    async with serving(queue, "--queue", "own") as agent:
        assert "other" in await agent.tool("list")
        for tool in ("cancel", "retry"):
            assert "jobs of queue own alone, not on 1" in await agent.refusal(tool, jobs=[2, 1])
        assert queue.counts().of(State.PENDING) == 3
        assert await agent.tool("cancel", jobs=[2]) == "job 2 is cancelled"
        assert "to queue own alone" in await agent.refusal("enqueue", command="true", cwd="/", queue="other")
        await agent.tool("enqueue", command="true", cwd="/")
    assert queue.job(4).queue == "own"


async def test_some_of_the_jobs_may_be_refused(queue: Queue) -> None:
    """What could be done is done, and what could not is named."""
    queue.enqueue_many(["true", "true"])
    queue.cancel(1)
    async with serving(queue) as agent:
        text = await agent.tool("cancel", jobs=[1, 2, 2])
    assert text.startswith("job 2 is cancelled\ncannot cancel job 1: it is cancelled")


async def test_values_of_variables_are_never_answered(queue: Queue) -> None:
    """Names are; what is behind them, a secret or not, is not the agent's business."""
    queue.enqueue("true", env={"DB_PASSWORD": "hunter2", "PLAIN": "value-of-plain"})
    async with serving(queue) as agent:
        await agent.tool("enqueue", command="true", cwd="/")
        for reference in (1, 2):
            text = await agent.tool("show", job=reference)
            assert not any(secret in text for secret in ("hunter2", "value-of-plain", "hush-hush"))
        assert "variables: DB_PASSWORD, PLAIN" in await agent.tool("show", job=1)


async def test_a_list_is_paged_and_short(queue: Queue) -> None:
    """Twenty at a time, the newest first, long commands cut; ``next`` leads on to the oldest."""
    queue.enqueue_many([f"make test-{number:03} --verbose" for number in range(1, 56)])
    queue.enqueue("x" * 5000)
    seen: list[int] = []
    async with serving(queue) as agent:
        first = await agent.tool("list", grep="make")
        assert len(first) < LIST_CEILING
        longest = await agent.tool("list", limit=1)
        assert len(longest) < 400
        after: int | None = None
        for _ in range(10):
            lines = (await agent.tool("list", after=after) if after else await agent.tool("list")).splitlines()
            seen += [int(line.split("\t")[0]) for line in lines[1:] if "\t" in line]
            if not lines[-1].startswith("next: after="):
                break
            after = int(lines[-1].removeprefix("next: after="))
        assert await agent.tool("list", state="dead") == "no such jobs"
    assert seen == list(range(56, 0, -1))


async def test_an_output_is_read_in_bounded_parts(queue: Queue) -> None:
    """A line of 200 kB: the end by default, never more than 32 KiB, any part by its offset, whole characters."""
    queue.enqueue("printf 'ü%.0s' $(seq 100000)")
    Worker(queue, once=True).run()
    async with serving(queue) as agent:
        text = await agent.tool("logs", job=1)
        assert text.startswith("[attempt 1, bytes 191808-200000 of 200000]\nüü")
        assert len(text.encode()) < 8300
        most = await agent.tool("logs", job=1, max_bytes=32768)
        assert len(most.encode()) < 32900
        part = await agent.tool("logs", job=1, offset=1001, max_bytes=5)
        assert part == "[attempt 1, bytes 1002-1006 of 200000]\nüü"
        part = await agent.tool("logs", job=1, offset=1006, max_bytes=3)
        assert part == "[attempt 1, bytes 1006-1008 of 200000]\nü"


async def test_nothing_in_an_answer_acts_on_a_terminal(queue: Queue) -> None:
    """Control codes of commands, names and outputs are removed: clients show answers to people."""
    queue.enqueue("printf 'a\\033]0;x\\007b\\033[31mc'", label="l\u202ex", name="n\u202ex")
    Worker(queue, once=True).run()
    async with serving(queue) as agent:
        texts = [await agent.tool("logs", job=1), await agent.tool("show", job=1), await agent.tool("list")]
    assert texts[0].endswith("\nabc")
    assert not any(bad in text for text in texts for bad in "\x1b\x07\u202e")


async def test_a_wait_says_that_it_waits_and_ends_in_time(queue: Queue) -> None:
    """Progress every five seconds keeps a client patient; then the agent is to call again."""
    queue.enqueue("true")
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with serving(queue) as agent:
        answer = await agent.client.call_tool("wait", {"jobs": [1], "timeout_s": 6}, progress_callback=note)
    (content,) = answer.content
    assert isinstance(content, TextContent)
    assert content.text.startswith("still to finish: 1; call wait again\n")
    assert [message for _, _, message in told] == ["1 still to finish"]
    assert told[0][1] == 6


async def test_a_wait_that_is_given_up_touches_no_job(queue: Queue) -> None:
    """The job runs on to its end, and the server answers on."""
    async with serving(queue, "-c", "1") as agent:
        await agent.tool("enqueue", command="until [ -e go ]; do sleep 0.05; done", cwd=str(Path(queue.path).parent))
        wait_for(lambda: queue.job(1).state is State.RUNNING)
        with anyio.move_on_after(0.3) as scope:
            await agent.tool("wait", jobs=[1], timeout_s=1000)
        assert scope.cancelled_caught
        assert "1 running" in await agent.tool("status")
        (Path(queue.path).parent / "go").touch()
        assert (await agent.tool("wait", jobs=[1])).startswith("all finished")
    assert queue.job(1).state is State.COMPLETED


async def test_a_job_outlives_the_server(queue: Queue) -> None:
    """At the end of stdin its worker lets go of what runs; the next one takes it over, with its true exit code."""
    directory = Path(queue.path).parent
    async with serving(queue, "-c", "1") as agent:
        await agent.tool(
            "enqueue", command="until [ -e go ]; do sleep 0.05; done; echo done; exit 7", cwd=str(directory)
        )
        wait_for(lambda: queue.job(1).state is State.RUNNING)
    assert queue.job(1).state is State.RUNNING
    assert not any(worker.is_alive for worker in queue.workers())
    (directory / "go").touch()
    Worker(queue, drain=True).run()
    job = queue.job(1)
    assert (job.state, job.last_exit_code, len(queue.attempts(1))) == (State.DEAD, 7, 1)
    assert queue.output(1).read(0, 100) == b"done\n"


async def test_resources_are_read_by_their_address(queue: Queue) -> None:
    """How things stand, a job and its output; one that is not there is an error of the protocol."""
    queue.enqueue("echo hi", name="first")
    Worker(queue, once=True).run()
    async with serving(queue) as agent:
        templates = await agent.client.list_resource_templates()
        assert [one.uri_template for one in templates.resource_templates] == [
            "queuectl://jobs/{job}",
            "queuectl://jobs/{job}/output",
        ]
        texts = {}
        for address in ("queuectl://status", "queuectl://jobs/1", "queuectl://jobs/first/output"):
            (content,) = (await agent.client.read_resource(address)).contents
            assert isinstance(content, TextResourceContents)
            texts[address] = content.text
        with pytest.raises(MCPError, match="no job 9"):
            await agent.client.read_resource("queuectl://jobs/9")
    assert texts["queuectl://status"].startswith("0 pending")
    assert texts["queuectl://jobs/1"].startswith("job 1 (first): completed")
    assert texts["queuectl://jobs/first/output"] == "[attempt 1, bytes 0-3 of 3]\nhi\n"


def run(queue: Queue, code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with nothing on its stdin."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "QUEUECTL_DB": queue.path},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_the_extra_a_line_says_how_to_get_it(queue: Queue) -> None:
    """Exit code 1 and no traceback; every other command works."""
    done = run(queue, "import sys; sys.modules['mcp'] = None; from core.cli import main; sys.exit(main(['mcp']))")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "queuectl: error: queuectl mcp needs its extra; pipx inject queuectl-tui mcp\n"


def test_no_other_command_loads_what_the_extra_brings(queue: Queue) -> None:
    """It takes more than a second to load."""
    done = run(
        queue,
        "import sys; from core.cli import main; main(['status']); main(['help', 'mcp']);"
        " print(sorted({'mcp', 'anyio', 'pydantic', 'queuectl_mcp'} & set(sys.modules)))",
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--read-only", "-c", "1"], ["--read-only", "--queue", "own"], ["-c", "-1"]])
def test_options_that_make_no_sense_are_refused(queue: Queue, arguments: list[str]) -> None:
    """Exit code 2: a server that only looks runs nothing."""
    done = run(queue, f"import sys; from core.cli import main; sys.exit(main(['mcp', *{arguments!r}]))")
    assert done.returncode == 2


#: What a client sends first.
_HELLO = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
)


def answers_to(queue: Queue, sent: bytes, redirection: str = "") -> subprocess.CompletedProcess[bytes]:
    """Send bytes to the server and close its stdin; run by a shell, which may redirect its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m core mcp {redirection}', sys.executable],
        input=sent,
        env={**os.environ, "QUEUECTL_DB": queue.path},
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("line", [b"no json {", b"[]", b"{}", b"\xff\xfe", b"", b"[" * 5000])
def test_a_line_that_is_no_message_stops_nothing(queue: Queue, line: bytes) -> None:
    """A client that misspeaks is answered on at its next message; nothing is on stderr."""
    ping = b'{"jsonrpc": "2.0", "id": 2, "method": "ping"}'
    with subprocess.Popen(
        [sys.executable, "-m", "core", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "QUEUECTL_DB": queue.path},
        cwd=ROOT,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"\n".join((_HELLO.encode(), line, ping, b"")))
        server.stdin.flush()
        # what is asked for when stdin ends is not answered any more
        assert [json.loads(server.stdout.readline())["id"] for _ in range(2)] == [1, 2]
        assert server.communicate(timeout=60) == (b"", b"")
        assert server.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_answers_that_cannot_be_written_end_the_server_with_a_line(queue: Queue) -> None:
    """The groups of errors of its tasks are nobody's business."""
    done = answers_to(queue, _HELLO.encode() + b"\n", ">/dev/full")
    assert done.returncode == 1
    assert done.stderr == b"queuectl: error: writing the output: No space left on device\n"


def test_a_client_that_is_gone_is_no_error(queue: Queue) -> None:
    """As at the end of stdin, which comes with it."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "core", "mcp"],
            input=_HELLO.encode() + b"\n",
            stdout=writer,
            stderr=subprocess.PIPE,
            env={**os.environ, "QUEUECTL_DB": queue.path},
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_stdin_there_is_nobody_to_serve(queue: Queue) -> None:
    """Wrong usage, in a line."""
    done = answers_to(queue, b"", "<&-")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"queuectl: error: there is no standard input to serve on\n"


def test_an_interrupt_ends_the_server_and_no_job(queue: Queue) -> None:
    """Ctrl+C, while a thread waits for the next line of stdin: exit code 130, no word, and the next worker adopts."""
    queue.enqueue("until [ -e go ]; do sleep 0.05; done; exit 7", max_attempts=1, cwd=str(Path(queue.path).parent))
    with subprocess.Popen(
        [sys.executable, "-m", "core", "mcp", "-c", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "QUEUECTL_DB": queue.path},
        cwd=ROOT,
    ) as server:
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(_HELLO.encode() + b"\n")
            server.stdin.flush()
            server.stdout.readline()
            wait_for(lambda: queue.job(1).state is State.RUNNING)
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 130
            assert server.stderr is not None
            assert server.stderr.read() == b""
        finally:
            server.kill()
    assert queue.job(1).state is State.RUNNING
    (Path(queue.path).parent / "go").touch()
    Worker(queue, drain=True).run()
    assert (queue.job(1).last_exit_code, len(queue.attempts(1))) == (7, 1)
