"""Which variables are secrets, by name or by value, and what becomes of them in each mode."""

from __future__ import annotations

import json

import pytest

from core.rules.environment import (
    MASK,
    captured,
    for_job,
    is_secret,
    is_secret_name,
    left_to_worker,
    masked,
    masked_text,
)

SECRET_NAMES = """
DB_PASS SMTP_PASS SSHPASS MYSQL_PWD PGPASSWORD LDAP_BINDPW JWT BEARER pwd_admin GPG_PIN RCLONE_CONFIG_PASS DB_PASS2
DOCKER_AUTH_CONFIG SENTRY_DSN BW_SESSION OTP_SEED CERT_PEM SLACK_WEBHOOK_URL AZURE_STORAGE_CONNECTION_STRING API_TOKEN
AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID PASS PASSWORD APIKEY TS_AUTHKEY BORG_PASSPHRASE GH_PAT SECRET_KEY_BASE SMTPPASS
dbPassword npm_config__authToken ConnectionStrings__Default HTTP_COOKIE SESSION_SECRET TOKEN2 NEXTAUTH_SECRET MYSECRET
ENCRYPTION_KEYS PROXY-AUTHORIZATION GOOGLE_CREDENTIALS HF_TOKEN HMAC_KEY SEED_PHRASE my.api.key
""".split()

HARMLESS_NAMES = """
GIT_AUTHOR_NAME TOKENIZERS_PARALLELISM KEYBOARD_LAYOUT PGPASSFILE PASSWORD_STORE_DIR PASSWORD_STORE_KEY KEYMAP MONKEY
CASSANDRA_KEYSPACE SSH_AUTH_SOCK XAUTHORITY PASSAGE COMPASS BYPASS_CACHE PWD OLDPWD PATH HOME LS_COLORS PASSENGER_COUNT
SSH_ASKPASS GIT_ASKPASS AUTH0_DOMAIN OPENAI_MAX_TOKENS MAX_TOKENS POSTGRES_PASSWORD_FILE AWS_SHARED_CREDENTIALS_FILE
RESTIC_PASSWORD_COMMAND XDG_SESSION_ID DESKTOP_SESSION SESSION_MANAGER DBUS_SESSION_BUS_ADDRESS TERM_SESSION_ID
KEY_TIMEOUT SSH_PUBLIC_KEY RANDOM_SEED PYTHONHASHSEED GNOME_KEYRING_CONTROL SECRETARY AUTHORS GOPRIVATE PINNED PATTERN
TURKEY SSH_KEY_PATH DSNAME MULTIPASS_HOST AWS_ROLE_SESSION_NAME
""".split()

PASSWORDS_IN_VALUES = {
    "postgres://u:hunter2@h/db": "postgres://u:***@h/db",
    "redis://:hunter2@h": "redis://:***@h",
    "http://u:hunter2@proxy:3128": "http://u:***@proxy:3128",
    "https://u:hunter2@index/simple https://v:hunter2@b": "https://u:***@index/simple https://v:***@b",
    "amqp://u:hunter2@a,amqp://u:hunter2@b": "amqp://u:***@a,amqp://u:***@b",
    "postgresql+asyncpg://u:hunter2@with@at@h/db": "postgresql+asyncpg://u:***@h/db",
    "POSTGRES://U:hunter2@H": "POSTGRES://U:***@H",
    "u:hunter2@proxy:3128": "u:***@proxy:3128",
    "https://ghp_hunter2hunter2hunter2@github.com/x": "https://***@github.com/x",
    "Server=db;Uid=sa;Pwd=hunter2;Encrypt=yes": "Server=db;Uid=sa;Pwd=***;Encrypt=yes",
    "host=h user=u password=hunter2": "host=h user=u password=***",
    "-Xmx1g -Djavax.net.ssl.keyStorePassword=hunter2 -ea": "-Xmx1g -Djavax.net.ssl.keyStorePassword=*** -ea",
    "DefaultEndpointsProtocol=https;AccountKey=hunter2==": "DefaultEndpointsProtocol=https;AccountKey=***",
    "https://h/hook?access_token=hunter2&x=1": "https://h/hook?access_token=***&x=1",
}

HARMLESS_VALUES = [
    "postgres://u@h/db",
    "https://h:8443/@scope/package",
    "https://h/a:b@c",
    "git@github.com:o/r.git",
    "ssh://git@host:22/x",
    "unix:path=/run/user/1000/bus,guid=0123",
    "${debian_chroot:+($debian_chroot)}\\u@\\h:\\w\\$ ",
    "() {  local password=secret; curl http://u:p@h; }",
    "pwd=$PWD; cd /",
    "rs=0:di=01;34:ln=01;36:*.tar=01;31",
    "Name <me@example.org>",
    "",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_with_a_word_for_a_secret_is_that_of_a_secret(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret(name, "x")


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_word_that_only_contains_one_is_not(name: str) -> None:
    assert not is_secret_name(name)
    assert not is_secret(name, "x")


@pytest.mark.parametrize(("value", "shown"), PASSWORDS_IN_VALUES.items())
def test_a_password_in_a_value_makes_it_a_secret_and_is_all_that_is_masked(value: str, shown: str) -> None:
    assert is_secret("PLACE", value)
    assert masked({"PLACE": value}) == {"PLACE": shown}


@pytest.mark.parametrize("value", HARMLESS_VALUES)
def test_a_value_without_a_password_is_shown_as_it_is(value: str) -> None:
    assert not is_secret("PLACE", value)
    assert masked({"PLACE": value}) == {"PLACE": value}


@pytest.mark.parametrize(
    "value", ["a" * 100_000 + "=@:", "a:" * 50_000 + "@=key", "://" * 30_000 + "@=", "pwd=" * 20_000]
)
def test_a_long_value_is_looked_through_once(value: str) -> None:
    """A pattern that goes back over what it has read would take minutes for these."""
    masked({"LONG": value})


ENVIRON = {"A": "1", "DB_PASS": "x", "DB": "pg://u:x@h", "QUEUECTL_JOB_ID": "7", "QUEUECTL_ATTEMPT": "1"}


def test_mode_safe_keeps_all_but_secrets_and_names_what_it_left_out() -> None:
    mode, variables, left_out = captured("safe", ENVIRON)
    assert (mode, json.loads(variables), left_out) == ("safe", {"A": "1"}, ("DB", "DB_PASS"))
    assert left_to_worker("safe", ENVIRON) == left_out


def test_the_other_modes_leave_nothing_out_by_its_looks() -> None:
    assert captured("all", ENVIRON) == ("all", '{"A":"1","DB":"pg://u:x@h","DB_PASS":"x"}', ())
    assert captured("none", ENVIRON) == ("none", "{}", ())


def test_what_was_left_out_comes_from_the_worker_and_what_was_kept_does_not() -> None:
    """``DB`` of the worker has no password; it is taken because the one at enqueue had."""
    worker = {"A": "2", "B": "2", "DB": "pg://h", "JWT": "y"}
    assert for_job("safe", {"A": "1"}, ("DB", "DB_PASS"), worker) == {"A": "1", "DB": "pg://h", "JWT": "y"}
    assert for_job("all", {"A": "1"}, (), worker) == {"A": "1"}
    assert for_job("none", {}, (), worker) == worker


def test_the_units_of_the_job_that_adds_another_or_starts_a_worker_are_not_those_of_that_one() -> None:
    """Not even where the name of the resource reads as that of a secret."""
    inside = {"A": "1", "QUEUECTL_RESOURCE_GPU": "0", "QUEUECTL_RESOURCE_LICENSE_KEY": "0"}
    for mode in ("safe", "all", "none"):
        kept = captured(mode, inside)
        assert (json.loads(kept.variables), kept.left_out) == ({} if mode == "none" else {"A": "1"}, ())
        assert for_job(mode, {}, (), inside) == ({"A": "1"} if mode == "none" else {})


def test_what_an_older_version_captured_is_used_as_it_did() -> None:
    """It kept DB_PASS, and left to the worker what merely contained KEY."""
    worker = {"DB_PASS": "worker", "MONKEY": "worker", "A": "worker"}
    assert for_job("safe", {"DB_PASS": "kept"}, None, worker) == {"DB_PASS": "kept", "MONKEY": "worker"}


def test_variables_kept_as_text_are_masked_as_well() -> None:
    assert masked_text('{"B": "1", "A_TOKEN": "x"}') == f'{{"A_TOKEN": "{MASK}", "B": "1"}}'
    for spoilt in ("", "[1]", '{"A": 1}', "{"):
        assert masked_text(spoilt) == MASK
