"""The server: which tools and resources there are, how they are described to agents, and waits that end in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from core.errors import QueueError
from core.model import JobRef, NewJob
from core.queue import Queue
from core.version import __version__
from queuectl_mcp.tools import (
    BYTES_DEFAULT,
    BYTES_MAX,
    LABEL,
    LINES_DEFAULT,
    LIST_DEFAULT,
    LIST_MAX,
    MAX_JOBS,
    WAIT_DEFAULT_S,
    WAIT_MAX_S,
    Tools,
)  # fmt: skip

_P = ParamSpec("_P")
_T = TypeVar("_T")
#: How often a wait looks at its jobs, and how often it says that it still waits, in seconds.
_LOOK_S = 0.2
_PROGRESS_S = 5.0
#: Tools run in at most so many threads, each with a connection of its own to the database.
_THREADS = 4

_READING = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_RUNNING_COMMANDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)
_CANCELLING = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

_INSTRUCTIONS = (
    "A durable queue of shell commands. A job that was added outlives this session; workers run it as the user, "
    "outside any sandbox of yours. Failed attempts are retried up to max_attempts, then the job is dead. If an answer "
    "says that no worker is alive, tell the person: nothing runs until one is."
)

Job = Annotated[JobRef, Field(description="number or name")]
Jobs = Annotated[list[JobRef], Field(description=f"1 to {MAX_JOBS} numbers or names")]


class Server:
    """The tools of a queue behind the protocol; ``is_read_only`` leaves out those that change something."""

    def __init__(self, queue: Queue, *, only: str | None, is_read_only: bool) -> None:
        self._tools = Tools(queue, only=only)
        self._only = only
        self._limiter = anyio.CapacityLimiter(_THREADS)
        self._server: MCPServer[None] = MCPServer(
            "queuectl", version=__version__, instructions=_INSTRUCTIONS, log_level="ERROR"
        )
        self._add(_READING, self.status, self.list, self.show, self.logs, self.wait)
        if not is_read_only:
            self._add(_RUNNING_COMMANDS, self.enqueue, self.retry)
            self._add(_CANCELLING, self.cancel)
        resources: dict[str, tuple[str, Callable[..., Awaitable[str]]]] = {
            "status": ("queuectl://status", self._status_page),
            "job": ("queuectl://jobs/{job}", self._job_page),
            "output": ("queuectl://jobs/{job}/output", self._output_page),
        }
        for name, (address, page) in resources.items():
            self._server.resource(address, name=name, mime_type="text/plain")(page)

    def _add(self, annotations: ToolAnnotations, *tools: Callable[..., object]) -> None:
        for tool in tools:
            # text alone: with a structured answer beside it each would be twice as long
            self._server.add_tool(tool, annotations=annotations, structured_output=False)

    def run(self) -> None:
        """Answer requests on stdin until it ends; raises ``OSError`` when an answer cannot be written."""
        try:
            self._server.run("stdio")
        except Exception as error:  # the tasks of the transport wrap what went wrong in groups
            raise _innermost(error) from error

    async def _call(self, function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        try:
            answer: _T = await anyio.to_thread.run_sync(partial(function, *arguments, **named), limiter=self._limiter)
        except (QueueError, OSError, UnicodeError) as error:
            raise ToolError(str(error)) from error
        return answer

    # --- tools; an agent reads the first docstring line of each

    async def status(self) -> str:
        """How many jobs stand where, and whether a worker is alive."""
        return await self._call(self._tools.status)

    async def list(
        self,
        state: Annotated[str | None, Field(description="pending, running, completed, dead, cancelled; a,b")] = None,
        queue: str | None = None,
        grep: Annotated[
            str | None, Field(description="words; also label:x exit:1 is:stuck '>5m' 'age:<1h' !word")
        ] = None,
        after: Annotated[JobRef | None, Field(description="from 'next' of the page before")] = None,
        limit: Annotated[int, Field(description=f"at most {LIST_MAX}")] = LIST_DEFAULT,
    ) -> str:
        """Jobs, the newest first, tab-separated."""
        return await self._call(self._tools.list, state, queue, grep, after, limit)

    async def show(self, job: Job) -> str:
        """All about one job: settings, attempts, why it does not run."""
        return await self._call(self._tools.show, job)

    async def logs(
        self,
        job: Job,
        attempt: Annotated[int | None, Field(description="default: the newest")] = None,
        lines: int = LINES_DEFAULT,
        max_bytes: Annotated[int, Field(description=f"at most {BYTES_MAX}")] = BYTES_DEFAULT,
        offset: Annotated[int | None, Field(description="read from this byte on instead of the end")] = None,
    ) -> str:
        """The end of what a job wrote."""
        return await self._call(self._tools.logs, job, attempt, lines, max_bytes, offset)

    async def wait(
        self,
        ctx: Context,
        jobs: Jobs,
        timeout_s: Annotated[float, Field(description=f"at most {WAIT_MAX_S:g}")] = WAIT_DEFAULT_S,
    ) -> str:
        """Wait until jobs have finished; call again if they have not. Giving up never touches a job."""
        limit_s = min(max(0.0, timeout_s), WAIT_MAX_S)
        began_s = said_s = anyio.current_time()
        while True:
            seen = await self._call(self._tools.look, jobs)
            passed_s = anyio.current_time() - began_s
            if seen.open == 0:
                return f"all finished\n{seen.text}"
            if passed_s >= limit_s:
                return f"still to finish: {seen.open}; call wait again\n{seen.text}"
            if anyio.current_time() - said_s >= _PROGRESS_S:
                said_s = anyio.current_time()
                await ctx.report_progress(passed_s, limit_s, f"{seen.open} still to finish")
            await anyio.sleep(min(_LOOK_S, limit_s - passed_s))

    async def enqueue(
        self,
        command: Annotated[str, Field(description="a line for /bin/sh")],
        cwd: Annotated[str, Field(description="absolute path of the directory it runs in")],
        name: Annotated[str | None, Field(description="unique; makes it safe to call again")] = None,
        queue: str | None = None,
        label: str = LABEL,
        priority: int = 0,
        max_attempts: Annotated[int, Field(description="more only if safe to repeat")] = 1,
        timeout: Annotated[str | None, Field(description="90s, 10m")] = None,
    ) -> str:
        """Add a command to the queue. It runs as the user, outside any sandbox, and outlives this session."""
        lane = queue or self._only or "default"
        new = NewJob(command, name=name, queue=lane, label=label, priority=priority, max_attempts=max_attempts, cwd=cwd)
        return await self._call(self._tools.enqueue, new, timeout)

    async def cancel(
        self, jobs: Jobs, kill: Annotated[bool, Field(description="at once, without TERM")] = False
    ) -> str:
        """Cancel jobs: those that wait will not run, those that run are stopped."""
        return await self._call(self._tools.cancel, jobs, kill)

    async def retry(self, jobs: Jobs) -> str:
        """Try finished or delayed jobs again now, with all their attempts."""
        return await self._call(self._tools.retry, jobs)

    # --- resources

    async def _status_page(self) -> str:
        """How many jobs stand where."""
        return await self._page(self._tools.status)

    async def _job_page(self, job: str) -> str:
        """All about one job."""
        return await self._page(self._tools.show, job)

    async def _output_page(self, job: str) -> str:
        """The end of what a job wrote."""
        return await self._page(self._tools.logs, job, None, LINES_DEFAULT, BYTES_DEFAULT, None)

    async def _page(self, function: Callable[_P, str], *arguments: _P.args, **named: _P.kwargs) -> str:
        try:
            return await self._call(function, *arguments, **named)
        except ToolError as error:
            raise ResourceError(str(error)) from error


def _innermost(error: Exception) -> Exception:
    """Return what went wrong first in a group of errors, or the error itself where it is none."""
    while inner := getattr(error, "exceptions", ()):
        error = inner[0]
    return error
