"""A job's environment: which variables are stored at enqueue, which the worker adds, which are masked. Pure."""

from __future__ import annotations

import json
import re
from collections import namedtuple
from collections.abc import Collection, Mapping

from core.rules.needs import UNITS_PREFIX

# Patterns are compiled when a variable asks for them: adding a job would wait longer for that than for its commit.

# --- names: the one list of words that make the name of a variable that of a secret

#: Whole words of a name: DB_PASS, API_KEY, pwd_admin, dbPassword, TOKEN2.
_WORDS = frozenset(
    "PASS PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE PWD PW PIN OTP TOTP MFA PSK SECRET SECRETS TOKEN TOKENS"
    " KEY KEYS CREDENTIAL CREDENTIALS CRED CREDS PRIVATE AUTH AUTHORIZATION OAUTH COOKIE COOKIES SESSION SESSID"
    " SESSIONID DSN PAT JWT BEARER HMAC PEM MNEMONIC WEBHOOK WEBHOOKS CONNSTR CONNECTIONSTRING".split()
)
#: Words that are written together with the one before them, whatever that is: PGPASSWORD, AUTHTOKEN.
_ENDINGS = ("PASSWORD", "PASSWD", "PASSPHRASE", "PASSCODE", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS")
#: Words that harmless ones end in, too (MONKEY, COMPASS, OLDPWD): with what may stand before them.
_GLUED = frozenset(
    [f"{first}KEY" for first in "ACCESS ACCOUNT API AUTH DEPLOY ENC LICENSE MASTER PRIV PRIVATE SECRET SSH".split()]
    + [
        first + last
        for first in "ADMIN BIND DB FTP KEY LDAP MAIL MYSQL PG PROXY ROOT RSYNC SMTP SQL SSH SUDO USER VNC".split()
        for last in ("PASS", "PWD", "PW")
    ]
)
#: Several words that are one.
_PHRASES = ("CONNECTION_STRING", "CONN_STR", "SEED_PHRASE")

# --- and those that take the suspicion back

#: Last words that say where a secret lies, what it is called, how long it lives.
_ABOUT = frozenset("FILE PATH DIR DIRECTORY SOCK SOCKET COMMAND CMD NAME TYPE LENGTH SIZE TTL TIMEOUT PID".split())
#: Names that a shell, a desktop or a terminal gives to what is no secret.
_HARMLESS = frozenset(
    "PWD OLDPWD AUTH0_DOMAIN DESKTOP_SESSION GNOME_DESKTOP_SESSION_ID SESSION_MANAGER KDE_FULL_SESSION TERM_SESSION_ID"
    " ITERM_SESSION_ID WT_SESSION ATUIN_SESSION STARSHIP_SESSION_KEY MAX_TOKENS".split()
)
_HARMLESS_STARTS = ("XDG_SESSION_", "DBUS_SESSION_", "KDE_SESSION_", "PASSWORD_STORE_")
_HARMLESS_ENDS = ("PUBLIC_KEY", "PUBKEY", "_MAX_TOKENS")

# --- values: what is a secret whatever its variable is called

_PASSWORD = (
    # scheme://user:PASSWORD@host; user:PASSWORD@host alone, as a proxy may be given; a raw @ belongs to the password
    r"(?P<user>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s/@:]*:|^[\w.%+-]+:)[^\s/]+(?P<host>@)"
    # https://TOKEN@host: no user's name is that long
    r"|(?P<scheme>https?://)[^\s/@:]{20,}(?P<at>@)"
    # Server=db;Password=…  -DproxyPassword=…  https://host/?token=…  but not what a shell's code reads from a variable
    r"|(?P<key>(?:^|[\s;,&?])(?:[\w.-]*(?:password|passwd|secret|token|api_?key)|pwd|account_?key|shared_?access_?key)"
    r"\s*=\s*)[^\s;&$]+"
)
_KEYS = ("pass", "pwd", "secret", "token", "key")
#: How bash exports a function: its text is code, which speaks of passwords without having one.
_FUNCTION = "() {"

_OURS = frozenset(
    f"QUEUECTL_{name}"
    for name in (
        "JOB_ID JOB_NAME ATTEMPT MAX_ATTEMPTS QUEUE DB HOOK HOOK_COUNT"
        " SUBJECT_ID SUBJECT_NAME SUBJECT_QUEUE SUBJECT_STATE SUBJECT_EXIT_CODE SUBJECT_LAST_WORDS"
    ).split()
)
#: By these older versions left variables out, and did not keep which.
_LEFT_OUT_BEFORE = r"TOKEN|SECRET|PASSW|PASSPHRASE|KEY|CREDENTIAL|PRIVATE|AUTH|COOKIE|SESSION|DSN|_PAT$|^PGPASS"
MASK = "***"

#: What is stored of an environment: ``variables`` is a JSON object, keys sorted; ``left_out`` are the names that mode
#: ``safe`` leaves to the worker, sorted.
Captured = namedtuple("Captured", "mode variables left_out")


def is_secret_name(name: str) -> bool:
    """Return whether the name of a variable reads as that of a secret."""
    upper = name if name.isupper() else re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper()
    words = re.split("[^A-Z]+", upper)
    is_suspect = any(word in _WORDS or word in _GLUED or word.endswith(_ENDINGS) for word in words) or any(
        phrase in upper for phrase in _PHRASES
    )
    return is_suspect and not (
        words[-1] in _ABOUT
        or upper in _HARMLESS
        or upper.startswith(_HARMLESS_STARTS)
        or upper.endswith(_HARMLESS_ENDS)
    )


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable holds a secret: by its name, or a password in its value."""
    return is_secret_name(name) or without_passwords(value) != value


def without_passwords(value: str) -> str:
    """Return a value with the passwords in URLs and in connection strings replaced."""
    if not _may_have_password(value):
        return value
    return re.sub(_PASSWORD, _replaced, value, flags=re.IGNORECASE)


def _may_have_password(value: str) -> bool:
    if value.startswith(_FUNCTION):
        return False
    if "@" in value and ":" in value:
        return True
    lower = value.lower() if "=" in value else ""
    return any(key in lower for key in _KEYS)


def _replaced(match: re.Match[str]) -> str:
    user, host, scheme, at, key = match.group("user", "host", "scheme", "at", "key")
    return f"{user or scheme or key}{MASK}{host or at or ''}"


def captured(mode: str, environ: Mapping[str, str]) -> Captured:
    """Return the part of an environment that is stored with a job in mode ``safe``, ``all`` or ``none``."""
    left_out = left_to_worker(mode, environ)
    not_kept = _OURS.union(left_out)
    own = _without_units(environ)
    kept = {} if mode == "none" else {name: value for name, value in own.items() if name not in not_kept}
    return Captured(mode, json.dumps(kept, sort_keys=True, separators=(",", ":")), left_out)


def left_to_worker(mode: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of variables that a job gets from its worker, sorted; empty but in mode ``safe``."""
    if mode != "safe":
        return ()
    own = _without_units(environ)
    return tuple(sorted(name for name, value in own.items() if name not in _OURS and is_secret(name, value)))


def for_job(
    mode: str, stored: Mapping[str, str], left_out: Collection[str] | None, worker: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that a command runs with, without the job's own ``env``, which is laid over them.

    In mode ``safe`` secrets and the names in ``left_out`` come from the worker's environment, in mode ``none`` all do.
    ``left_out`` is ``None`` for what an older version captured.
    """
    worker = _without_units(worker)
    if mode == "none":
        return worker
    if mode == "all":
        return dict(stored)
    taken = {
        name: value
        for name, value in worker.items()
        if is_secret(name, value)
        or (re.search(_LEFT_OUT_BEFORE, name, re.IGNORECASE) if left_out is None else name in left_out)
    }
    return {**taken, **stored}


def _without_units(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables without the numbers of units that a job was given, from which this process was started."""
    return {name: value for name, value in variables.items() if not name.startswith(UNITS_PREFIX)}


def masked(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with every secret replaced, sorted by name."""
    return {name: MASK if is_secret_name(name) else without_passwords(variables[name]) for name in sorted(variables)}


def masked_text(text: str) -> str:
    """Return a JSON object of variables with every secret replaced; ``MASK`` for a text that is no such object."""
    try:
        variables = json.loads(text)
        return json.dumps(masked(variables))
    except (ValueError, TypeError, AttributeError):
        return MASK
