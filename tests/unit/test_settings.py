"""Every setting, its bounds, and how it is read and written."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.rules.backoff import Backoff
from core.rules.settings import ALIASES, SETTINGS, Setting, Settings, SettingValue, find_setting
from core.rules.units import MAX_DURATION_S

ALL = sorted(SETTINGS)
BOUNDED = [key for key in ALL if SETTINGS[key].kind not in ("text", "choice")]
KINDS = {"integer", "number", "duration", "size", "text", "choice"}

#: The settings of the manual with their defaults: a change here is a change that users notice.
DEFAULTS: dict[str, SettingValue] = {
    "max-attempts": 3,
    "backoff-base": 2.0,
    "backoff-cap": 3600.0,
    "jitter": 0.0,
    "timeout": 0.0,
    "kill-grace": 5.0,
    "output-limit": 1 << 30,
    "output-shared": 8 << 20,
    "keep-completed": 0.0,
    "keep-purged": 604800.0,
    "shell": "/bin/sh",
    "capture-env": "safe",
    "durability": "normal",
    "host-lease": 300.0,
    "busy-timeout": 5.0,
}


def values_of(setting: Setting) -> st.SearchStrategy[SettingValue]:
    """Return a strategy of all values that a setting may have."""
    if setting.kind == "choice":
        return st.sampled_from(setting.choices)
    if setting.kind == "text":
        return st.text(min_size=1).filter(lambda text: bool(text.strip()) and "\0" not in text)
    if setting.kind == "integer":
        return st.integers(int(setting.low), int(setting.high))
    if setting.kind == "number":
        return st.floats(setting.low, setting.high)
    if setting.kind == "size":
        return st.integers(int(setting.low), 1 << 53)
    milliseconds = st.integers(round(setting.low * 1000), round(min(setting.high, MAX_DURATION_S) * 1000))
    return milliseconds.map(lambda whole: whole / 1000)


def test_the_settings_and_their_defaults_are_those_of_the_manual() -> None:
    """Nobody's queue behaves differently because a default was changed in passing."""
    assert {key: setting.default for key, setting in SETTINGS.items()} == DEFAULTS


@pytest.mark.parametrize("key", ALL)
def test_a_setting_is_fully_described(key: str) -> None:
    """Each has a known kind, one line of help, and choices if and only if it is a choice."""
    setting = SETTINGS[key]
    assert setting.key == key
    assert setting.kind in KINDS
    assert setting.help
    assert "\n" not in setting.help
    assert bool(setting.choices) == (setting.kind == "choice")


@pytest.mark.parametrize("key", ALL)
def test_a_default_is_a_value_that_could_be_set(key: str) -> None:
    """Writing a default and reading it gives the default again."""
    setting = SETTINGS[key]
    assert setting.parse(setting.format(setting.default)) == setting.default


@pytest.mark.parametrize("key", ALL)
@given(data=st.data())
def test_a_written_value_reads_back(key: str, data: st.DataObject) -> None:
    """What ``config get`` prints can be given to ``config set``, to the millisecond and the last digit."""
    setting = SETTINGS[key]
    value = data.draw(values_of(setting))
    parsed = setting.parse(setting.format(value))
    assert parsed == (pytest.approx(value, abs=1e-6) if setting.kind == "duration" else value)


@pytest.mark.parametrize("key", BOUNDED)
def test_both_bounds_can_be_set_and_nothing_beyond(key: str) -> None:
    """The lowest and the highest value are taken, the next ones outside are refused with the bounds in words."""
    setting = SETTINGS[key]
    step = {"integer": 1, "number": 0.001, "duration": 0.001, "size": 1}[setting.kind]
    assert setting.parse(setting.format(setting.low)) == pytest.approx(setting.low)
    outside = [setting.low - step]
    if math.isfinite(setting.high):
        assert setting.parse(setting.format(setting.high)) == pytest.approx(setting.high)
        outside.append(setting.high + step)
    for value in outside:
        with pytest.raises(UsageError, match=f"^{key} "):
            setting.parse(str(int(value)) if setting.kind in ("integer", "size") else f"{value:.3f}")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max-attempts", "5", 5),
        ("backoff-base", "1.5", 1.5),
        ("backoff-cap", "1h30m", 5400.0),
        ("jitter", "0.1", 0.1),
        ("timeout", "5m", 300.0),
        ("kill-grace", "0", 0.0),
        ("output-limit", "64M", 64 << 20),
        ("output-limit", "0", 0),
        ("shell", "/bin/bash", "/bin/bash"),
        ("capture-env", "none", "none"),
        ("durability", "full", "full"),
    ],
)
def test_a_value_is_read_in_the_words_of_its_kind(key: str, text: str, value: SettingValue) -> None:
    """Durations and sizes take units, choices their words."""
    assert SETTINGS[key].parse(text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("max-attempts", "0", "max-attempts is a whole number from 1 to 1000000, not 0"),
        ("max-attempts", "1000001", "max-attempts is a whole number from 1 to 1000000, not 1000001"),
        ("max-attempts", "many", "max-attempts is a whole number from 1 to 1000000, not 'many'"),
        ("max-attempts", "2.5", "max-attempts is a whole number from 1 to 1000000, not '2.5'"),
        ("max-attempts", "9" * 5000, "max-attempts is a whole number from 1 to 1000000, not "),
        ("backoff-base", "0.5", "backoff-base is a number from 1 to 1000, not 0.5"),
        ("backoff-base", "nan", "backoff-base is a number from 1 to 1000, not 'nan'"),
        ("backoff-base", "inf", "backoff-base is a number from 1 to 1000, not inf"),
        ("jitter", "2", "jitter is a number from 0 to 1, not 2"),
        ("jitter", "", "jitter is a number from 0 to 1, not ''"),
        ("backoff-cap", "366d", "backoff-cap '366d' is too long; the most is 365d"),
        ("busy-timeout", "9999999d", "busy-timeout '9999999d' is too long; the most is 1h"),
        ("timeout", "36501d", "timeout '36501d' is too long; the most is 36500d"),
        ("busy-timeout", "1ms", "busy-timeout is a duration from 0.01s to 1h, not 1ms"),
        ("timeout", "soon", "timeout 'soon' is not a duration; write 30s, 5m, 1h30m or 7d"),
        ("output-limit", "big", "output-limit 'big' is not a size; write 64K, 10M or 1G"),
        ("shell", " ", "shell cannot be empty or hold a NUL"),
        ("shell", "/bin/\0sh", "shell cannot be empty or hold a NUL"),
        ("capture-env", "some", "capture-env is one of safe, all, none, not 'some'"),
        ("durability", "Full", "durability is one of normal, full, not 'Full'"),
    ],
)
def test_a_bad_value_is_refused_with_what_would_do(key: str, text: str, message: str) -> None:
    """The refusal names the setting, says what it takes and repeats what was given."""
    with pytest.raises(UsageError) as refusal:
        SETTINGS[key].parse(text)
    assert str(refusal.value).startswith(message)


@given(st.sampled_from(ALL), st.text(max_size=20) | st.text("0123456789.-+e_ sminfaK", max_size=20))
def test_any_text_is_a_value_or_refused_in_words(key: str, text: str) -> None:
    """Nothing that a person can type makes a setting fail in another way."""
    with contextlib.suppress(UsageError):
        value = SETTINGS[key].parse(text)
        assert Settings({key: text})[key] == value


@pytest.mark.parametrize("key", ALL)
def test_a_setting_is_found_by_its_name(key: str) -> None:
    """Underscores and capitals do not matter."""
    assert find_setting(key) is SETTINGS[key]
    assert find_setting(key.replace("-", "_").upper()) is SETTINGS[key]


def test_max_retries_is_another_spelling_of_max_attempts() -> None:
    """The name that the old tool used is still understood."""
    assert find_setting("max-retries") is find_setting("max_retries") is SETTINGS["max-attempts"]
    assert set(ALIASES.values()) <= set(SETTINGS)
    assert not set(ALIASES) & set(SETTINGS)


@pytest.mark.parametrize("key", ["", "retries", "max attempts", "timeout "])
def test_an_unknown_setting_is_refused(key: str) -> None:
    """The refusal repeats the name and says where the list is."""
    with pytest.raises(UsageError, match=f"^no setting {key!r}; see 'queuectl config list'$"):
        find_setting(key)


def test_without_stored_values_the_defaults_are_in_force() -> None:
    """An empty database behaves as the manual says; a limit of 0 is no limit."""
    settings = Settings()
    assert {key: settings[key] for key in SETTINGS} == DEFAULTS
    assert settings.max_attempts == 3
    assert settings.timeout_s is None
    assert settings.kill_grace_s == 5.0
    assert settings.output_limit_bytes == 1 << 30
    assert settings.shell == "/bin/sh"
    assert not settings.is_fully_durable
    assert settings.backoff(2.0) == Backoff(2.0, 3600.0, 0.0)


def test_a_stored_value_wins_over_the_default() -> None:
    """What was set is in force, typed; what was not set keeps its default."""
    settings = Settings(
        {
            "max-attempts": "7",
            "timeout": "1m30s",
            "kill-grace": "1s",
            "output-limit": "0",
            "shell": "/bin/bash",
            "durability": "full",
            "backoff-cap": "1m",
            "jitter": "0.5",
        }
    )
    assert settings.max_attempts == 7
    assert settings.timeout_s == 90.0
    assert settings.kill_grace_s == 1.0
    assert settings.output_limit_bytes is None
    assert settings.shell == "/bin/bash"
    assert settings.is_fully_durable
    assert settings.backoff(3.0) == Backoff(3.0, 60.0, 0.5)
    assert settings.number("keep-purged") == 604800.0


def test_a_setting_of_a_newer_version_is_left_alone() -> None:
    """A key that this version does not know does not keep it from opening the database."""
    assert Settings({"from-the-future": "1"}).max_attempts == 3
