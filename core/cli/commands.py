"""The table of commands: names, where each one lives, and one line on what it does."""

from __future__ import annotations


class Command:
    """One command. ``module`` is the file of ``verbs`` with its ``configure`` and ``run``."""

    __slots__ = ("has_json", "is_reading", "module", "name", "summary", "takes_command_line", "usage")

    def __init__(
        self,
        name: str,
        module: str,
        usage: str,
        summary: str,
        *,
        takes_command_line: bool = False,
        has_json: bool = True,
        is_reading: bool = False,
    ) -> None:
        self.name = name
        self.module = module
        self.usage = usage
        self.summary = summary
        #: Whether from the first word on that is no option all words belong to the queued program.
        self.takes_command_line = takes_command_line
        #: Whether it has an answer that could be JSON.
        self.has_json = has_json
        #: Whether it changes nothing: a database that is not there is an empty queue to it, and is not made.
        self.is_reading = is_reading


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("enqueue", "enqueue", '[OPTIONS] "COMMAND" | [--] PROGRAM ARG…', "add jobs", takes_command_line=True),
        Command(
            "run",
            "run",
            '[OPTIONS] "COMMAND" | [--] PROGRAM ARG…',
            "add a job, follow its output, exit with its exit code",
            takes_command_line=True,
        ),
        Command("worker start", "worker_start", "[OPTIONS]", "run jobs in the foreground; also just: worker"),
        Command("worker list", "worker_list", "[OPTIONS]", "show which workers are alive", is_reading=True),
        Command("worker stop", "worker_stop", "[ID…] [OPTIONS]", "ask workers to stop and wait until they have"),
        Command("init", "init", "[ADDRESS] [OPTIONS]", "make the database, a file or on a PostgreSQL server"),
        Command("host list", "host", "[OPTIONS]", "show which hosts work on a server; also: host", is_reading=True),
        Command("host forget", "host", "ID [OPTIONS]", "give a host up that is gone for good: its jobs run again"),
        Command("host keep", "host", "[OPTIONS]", "keep this host's lease while commands run; workers start it"),
        Command("service install", "service", "[OPTIONS]", "have the system start a worker, at login or at boot"),
        Command("service status", "service", "[OPTIONS]", "say whether it is installed and runs; also: service"),
        Command("service print", "service", "[OPTIONS]", "print the file that install would write"),
        Command("service uninstall", "service", "[OPTIONS]", "stop that worker and remove its file"),
        Command("list", "list", "[STATE] [OPTIONS]", "list jobs", is_reading=True),
        Command("show", "show", "JOB [OPTIONS]", "show all there is to know about a job", is_reading=True),
        Command("logs", "logs", "JOB… [OPTIONS]", "show what a job wrote", is_reading=True),
        Command("wait", "wait", "JOB… | --queue Q | --all [OPTIONS]", "wait until jobs have finished", is_reading=True),
        Command("retry", "retry", "JOB… | --queue Q [OPTIONS]", "try jobs again now"),
        Command("cancel", "cancel", "JOB… | --queue Q [OPTIONS]", "cancel jobs, and stop those that run"),
        Command("hold", "hold", "JOB… | --queue Q [OPTIONS]", "keep waiting jobs from being run"),
        Command("release", "hold", "JOB… | --queue Q [OPTIONS]", "let held jobs be run again"),
        Command("edit", "edit", "JOB [OPTIONS]", "change a job that waits or is dead"),
        Command("dlq list", "dlq", "[OPTIONS]", "list the dead letter queue; also just: dlq", is_reading=True),
        Command("dlq groups", "dlq", "[OPTIONS]", "group the dead jobs by what they died of", is_reading=True),
        Command(
            "dlq replay", "dlq", "JOB… | --all | --group F [OPTIONS]", "give dead jobs a fresh start (also: retry)"
        ),
        Command("dlq purge", "dlq", "JOB… | --all | --group F [OPTIONS]", "put dead jobs out of sight"),
        Command("purge", "purge", "JOB… | --state STATE | --all [OPTIONS]", "put finished jobs out of sight"),
        Command("restore", "restore", "JOB… | --last [OPTIONS]", "bring purged jobs back"),
        Command(
            "undo",
            "undo",
            "[OPTIONS]",
            "undo the last act, if it was a purge, retry, edit, hold, release or cancel",
        ),
        Command("status", "status", "[OPTIONS]", "show how many jobs stand where, and who works", is_reading=True),
        Command(
            "metrics", "metrics", "[OPTIONS]", "show throughput, success rate, wait and run times", is_reading=True
        ),
        Command("queue list", "queue", "[OPTIONS]", "list the queues; also just: queue", is_reading=True),
        Command("queue pause", "queue", "[QUEUE…] [OPTIONS]", "start no more jobs of a queue, or of any"),
        Command("queue resume", "queue", "[QUEUE…] [OPTIONS]", "start jobs again"),
        Command("queue limit", "queue", "QUEUE N|none [OPTIONS]", "limit how many of a queue's jobs run at once"),
        Command(
            "queue on-lost-host", "queue", "QUEUE rerun|hold [OPTIONS]", "say what its jobs do when a host is lost"
        ),
        Command("resource list", "resource", "[OPTIONS]", "list what jobs need; also just: resource", is_reading=True),
        Command("resource set", "resource", "NAME N [OPTIONS]", "say how much there is of a resource"),
        Command("resource unset", "resource", "NAME [OPTIONS]", "forget that: it is a lock then, of which there is 1"),
        Command("hook add", "hook", "EVENT [OPTIONS] -- COMMAND", "run a command when jobs complete or die"),
        Command("schedule add", "schedule", "NAME CRON [OPTIONS] -- COMMAND", "have a job added again and again"),
        Command("schedule list", "schedule", "[OPTIONS]", "list the schedules; also just: schedule", is_reading=True),
        Command(
            "schedule show", "schedule", "NAME [OPTIONS]", "show a schedule and what became of it", is_reading=True
        ),
        Command("schedule edit", "schedule", "NAME [OPTIONS]", "change a schedule"),
        Command("schedule pause", "schedule", "NAME [OPTIONS]", "have a schedule add no jobs for now"),
        Command("schedule resume", "schedule", "NAME [OPTIONS]", "have it add jobs again, from now on"),
        Command("schedule run", "schedule", "NAME [OPTIONS]", "add the job of a schedule now, besides its plan"),
        Command("schedule remove", "schedule", "NAME [OPTIONS]", "remove a schedule; its jobs stay"),
        Command("hook list", "hook", "[OPTIONS]", "list the hooks; also just: hook", is_reading=True),
        Command("hook remove", "hook", "ID [OPTIONS]", "remove a hook"),
        Command("config list", "config", "[OPTIONS]", "list the settings; also just: config", is_reading=True),
        Command("config get", "config", "KEY [OPTIONS]", "print a setting", is_reading=True),
        Command("config set", "config", "KEY VALUE [OPTIONS]", "change a setting"),
        Command("config unset", "config", "KEY [OPTIONS]", "go back to a setting's default"),
        Command("prune", "prune", "[OPTIONS]", "remove for good what is older than the settings allow"),
        Command("doctor", "doctor", "[OPTIONS]", "check the database and say what to do"),
        Command(
            "export",
            "export",
            "[STATE] [OPTIONS]",
            "write jobs, attempts and outputs as JSON lines or CSV",
            is_reading=True,
        ),
        Command("move", "move", "FROM TO [OPTIONS]", "move the whole queue to another database, a file or on a server"),
        Command("backup", "backup", "FILE [OPTIONS]", "copy the database while it is in use"),
        Command("mcp", "mcp", "[OPTIONS]", "serve the queue to an agent (Model Context Protocol)", has_json=False),
        Command(
            "completion", "completion", "bash|zsh|fish", "print a script for the shell's completion", has_json=False
        ),
        Command("help", "help", "[COMMAND]", "show the help of a command", has_json=False),
    )
}

#: The second word that is meant when a family's name stands alone.
DEFAULTS: dict[str, str] = {
    "worker": "start",
    "service": "status",
    "dlq": "list",
    "queue": "list",
    "resource": "list",
    "config": "list",
    "host": "list",
    "schedule": "list",
    "hook": "list",
}
#: Other spellings of a command.
ALIASES: dict[str, str] = {"dlq retry": "dlq replay", "config show": "config list"}


def family(name: str) -> list[str]:
    """Return the second words of a family of commands: ``worker`` -> ``start``, ``list``, ``stop``."""
    known = [*COMMANDS, *ALIASES]
    return [other.partition(" ")[2] for other in known if other.startswith(f"{name} ")]


def first_words() -> list[str]:
    """Return every word that may follow ``queuectl``."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in COMMANDS))
