"""``queuectl config``: the settings that are kept in the database."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from core.cli.context import Session
from core.cli.exit_codes import DONE
from core.cli.parser import Parser
from core.cli.tables import Cell, Column, show_table
from core.queue import Queue
from core.rules.settings import SETTINGS, Setting, find_setting


def configure(parser: Parser, name: str) -> None:
    """Describe the options."""
    verb = name.partition(" ")[2]
    if verb == "list":
        parser.examples("queuectl config", "queuectl config list --json")
        return
    parser.add_argument("key", metavar="KEY", help="a setting, as 'queuectl config list' names them")
    if verb == "set":
        parser.add_argument("value", metavar="VALUE", help="its new value")
        parser.examples("queuectl config set max-attempts 5", "queuectl config set keep-completed 30d")
    else:
        parser.examples(f"queuectl config {verb} backoff-cap")


def run(session: Session, options: Namespace) -> int:
    """List, print or change settings."""
    verb = options.command_name.partition(" ")[2]
    if verb == "list":
        return _list(session)
    setting = find_setting(options.key)
    queue = session.queue(create=verb != "get")
    if verb == "set":
        queue.set(setting.key, options.value)
    elif verb == "unset":
        queue.unset(setting.key)
    if verb != "get":
        session.done = f"{setting.key} was {verb}"
    value = setting.format(queue.settings()[setting.key])
    if session.is_json:
        from core.cli.json_output import print_object

        print_object(_object(queue, setting))
    elif verb == "get":
        session.say(value)
    else:
        session.say(f"{setting.key} is {value}{' (the default)' if verb == 'unset' else ''}")
    return DONE


def _object(queue: Queue, setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "value": queue.settings()[setting.key],
        "text": setting.format(queue.settings()[setting.key]),
        "is_default": setting.key not in queue.stored_settings(),
        "kind": setting.kind,
        "help": setting.help,
    }


def _list(session: Session) -> int:
    queue = session.queue()
    if session.is_json:
        from core.cli.json_output import print_array

        print_array(_object(queue, setting) for setting in SETTINGS.values())
        return DONE
    values, stored = queue.settings(), queue.stored_settings()
    rows = [
        (
            setting.key,
            Cell(setting.format(values[setting.key]), "bold" if setting.key in stored else ""),
            "set" if setting.key in stored else "default",
            setting.help,
        )
        for setting in SETTINGS.values()
    ]
    show_table(session, (Column("setting"), Column("value"), Column("from"), Column("meaning", is_wide=True)), rows)
    return DONE
