"""What a process brings along to what it adds: its working directory, its environment, and its host's time zone."""

from __future__ import annotations

import os

from core.errors import Refused, UsageError
from core.loading import LOADING
from core.rules import environment
from core.rules.job_input import check_text
from core.rules.settings import Settings


def working_directory() -> str:
    """Return the working directory, the default for new jobs; raise ``Refused`` if it was removed."""
    try:
        return check_text(os.getcwd(), "working directory", longest=4096)
    except FileNotFoundError:
        raise Refused("the working directory no longer exists; change to another one") from None


def captured_environment(settings: Settings) -> environment.Captured:
    """Return what is kept of this process's environment with what it adds, by the setting ``capture-env``."""
    return environment.captured(str(settings["capture-env"]), os.environ)


def local_zone() -> str:
    """Return the name of this host's zone: by ``$TZ``, else by /etc/localtime; ``UTC`` if neither names one."""
    with LOADING:
        from core.rules.occurrences import zone_of  # only schedules need zones

    names = [os.environ.get("TZ", "").lstrip(":")]
    names.append(os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2])
    for name in names:
        if name:
            try:
                zone_of(name)
            except UsageError:
                continue
            return name
    return "UTC"
