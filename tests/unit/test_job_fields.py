"""The table of a job's fields agrees with the values that carry them, and is the place where a field is known."""

from __future__ import annotations

import re
from pathlib import Path

from core.model import Job, NewJob
from core.rules.job_fields import FIELDS
from core.rules.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
#: What a new job waits for is no column of it: each is kept as an edge to another job.
WAITING = ("after", "after_end", "ref")


def test_the_table_has_the_fields_of_a_new_job_in_their_order_with_their_defaults() -> None:
    """One that is missing could be neither given nor stored."""
    assert (*(field.name for field in FIELDS), *WAITING) == NewJob._fields
    defaults = {field.name: field.default for field in FIELDS if field.name != "command"}
    assert {**defaults, "after": (), "after_end": (), "ref": None} == NewJob._field_defaults


def test_a_job_has_every_field_that_can_be_asked_for() -> None:
    """What was asked for can be read again."""
    assert {field.name for field in FIELDS} <= set(Job._fields)


def test_no_two_fields_share_a_spelling_a_column_or_a_letter() -> None:
    """An option and a key of JSON mean one field."""
    spellings = [spelling for field in FIELDS for spelling in field.spellings]
    for words in (
        [spelling.key for spelling in spellings],
        [spelling.letter for spelling in spellings if spelling.letter],
        [field.column for field in FIELDS],
    ):
        assert len(words) == len(set(words))
    assert all(field.exact_key in [spelling.key for spelling in field.spellings] for field in FIELDS)


def test_a_field_that_falls_back_to_a_setting_has_no_default_of_its_own() -> None:
    """And the setting exists; what it can be, the field can be."""
    for field in FIELDS:
        if field.setting:
            assert field.default is None
            assert field.high >= SETTINGS[field.setting].low


def test_a_late_field_is_known_to_five_files_at_most() -> None:
    """Its row, the two values that carry it, and what it does; all else reads the table. It was in 16."""
    files = [
        str(path.relative_to(ROOT))
        for room in ("core", "queuectl_tui")
        for path in sorted((ROOT / room).rglob("*.py"))
        if re.search(r"\bdead[_-]exit\b", path.read_text(encoding="utf-8"))
    ]
    assert "core/rules/job_fields.py" in files
    assert len(files) <= 5, files
