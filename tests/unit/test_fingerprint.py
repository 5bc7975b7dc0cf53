"""The line that says why, and which failures are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.fingerprint import (
    MAX_LENGTH,
    fingerprint,
    last_words,
    masked,
)
from core.rules.units import fingerprint_text, parse_fingerprint
from core.text import clean_line

TRACEBACK = """Loading rows
Traceback (most recent call last):
  File "/srv/etl/load.py", line 40, in <module>
    main()
  File "/srv/etl/load.py", line 31, in main
    cursor.execute(INSERT, row)
psycopg.errors.UniqueViolation: duplicate key value violates unique constraint "orders_pkey"
DETAIL:  Key (id)=(4711) already exists.
"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 2, in <module>
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 4, in <module>
RuntimeError: no such row
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "g.py", line 3, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
"""
NODE = """node:internal/modules/cjs/loader:1080
  throw err;
  ^

Error: Cannot find module 'left-pad'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)
    at Module._load (node:internal/modules/cjs/loader:922:27) {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v18.17.0
"""
JAVA = """Exception in thread "main" java.lang.IllegalStateException: cannot start
\tat com.example.Main.run(Main.java:17)
\tat com.example.Main.main(Main.java:5)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 12 more
"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/tmp/x/main.go:8 +0x1d
exit status 2
"""
RUST = """   Compiling app v0.1.0
error[E0382]: borrow of moved value: `s`
 --> src/main.rs:4:20
  |
4 |     println!("{}", s);
  |                    ^ value borrowed here after move
"""
NPM = """npm ERR! code E404
npm ERR! 404 Not Found - GET https://registry.example/left-pod
npm ERR! A complete log of this run can be found in: /root/.npm/_logs/2026-11-28-debug.log
"""

SAID = [
    (TRACEBACK, 'psycopg.errors.UniqueViolation: duplicate key value violates unique constraint "orders_pkey"'),
    (CHAINED, "RuntimeError: no such row"),
    (GROUP, "ExceptionGroup: two (2 sub-exceptions)"),
    (NODE, "Error: Cannot find module 'left-pad'"),
    (JAVA, "Caused by: java.net.ConnectException: Connection refused"),
    (GO, "panic: runtime error: index out of range [5] with length 3"),
    (RUST, "error[E0382]: borrow of moved value: `s`"),
    (NPM, "npm ERR! 404 Not Found - GET https://registry.example/left-pod"),
    ("KeyboardInterrupt\n", "KeyboardInterrupt"),
    ("sh: 1: ffmepg: not found\n", "sh: 1: ffmepg: not found"),
    ("bash: line 1: ffmepg: command not found\n", "bash: line 1: ffmepg: command not found"),
    (
        "fatal: not a git repository (or any of the parent directories): .git\n",
        "fatal: not a git repository (or any of the parent directories): .git",
    ),
    ("cp: cannot stat 'a': No such file or directory\n", "cp: cannot stat 'a': No such file or directory"),
    (
        "main.c:3:5: error: unknown type name 'foo'\nmake: *** [Makefile:2: all] Error 1\n",
        "main.c:3:5: error: unknown type name 'foo'",
    ),
    ("make: *** No rule to make target 'x'.  Stop.\n", "make: *** No rule to make target 'x'.  Stop."),
    ("curl: (6) Could not resolve host: example.invalid\n", "curl: (6) Could not resolve host: example.invalid"),
    ("E: Unable to locate package foo\n", "E: Unable to locate package foo"),
    (
        "ERROR: Could not find a version that satisfies the requirement foo\n",
        "ERROR: Could not find a version that satisfies the requirement foo",
    ),
    ("Segmentation fault (core dumped)\n", "Segmentation fault (core dumped)"),
    ("starting\nworked 3 rows\nno route to host\n", "no route to host"),
    ("checking\n 45%|█████     | 45/100 [00:10<00:12]\n", "checking"),
    ("checking\n[=====>    ] 50%\n\n", "checking"),
    ("fetch\n#######  70.3%\n", "fetch"),
    ("disk is full\nuser@host:~$ \n", "disk is full"),
    ("copying 1\rcopying 2\rcopied 3 of 9\n", "copied 3 of 9"),
    ("\x1b[31mred alert\x1b[0m\n", "red alert"),
    ("reason\n----------\n}\n", "reason"),
    ("99%\n", "99%"),
    ("no newline", "no newline"),
    ("", None),
    ("\n \n---\n", None),
]


@pytest.mark.parametrize(("output", "words"), SAID)
def test_the_line_that_says_why(output: str, words: str | None) -> None:
    assert last_words(output.encode()) == words


#: Lines in one row are one fault; no two rows are the same.
FAULTS = [
    ["curl: (6) Could not resolve host: a.example", "curl: (6) Could not resolve host: a.example"],
    ["curl: (7) Failed to connect to 10.0.0.1 port 80", "curl: (7) Failed to connect to 10.0.0.9 port 8080"],
    ["cp: cannot stat '/tmp/a.txt': No such file or directory", "cp: cannot stat '/var/b': No such file or directory"],
    ["cp: cannot open '/tmp/a' for reading: Permission denied", "cp: cannot open '/b' for reading: Permission denied"],
    ["ls: cannot access 'x': No such file or directory", "ls: cannot access 'it's': No such file or directory"],
    ["bash: line 1: foo: command not found", "bash: line 22: foo: command not found"],
    ["bash: line 1: bar: command not found"],
    ["sh: 1: foo: not found", "sh: 12: foo: not found"],
    ["KeyError: 'user_1'", "KeyError: 'order 22'"],
    ["IndexError: list index out of range"],
    [
        "ValueError: invalid literal for int() with base 10: 'a'",
        "ValueError: invalid literal for int() with base 10: ''x'",
    ],
    ["TypeError: unsupported operand type(s) for +: 'int' and 'str'"],
    ["ModuleNotFoundError: No module named 'numpy'", "ModuleNotFoundError: No module named 'pandas'"],
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '/a'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'b/c'",
    ],
    ["PermissionError: [Errno 13] Permission denied: '/a'"],
    ["OSError: [Errno 28] No space left on device"],
    ["ConnectionRefusedError: [Errno 111] Connection refused", "ConnectionRefusedError: [Errno 61] Connection refused"],
    ["TimeoutError: timed out after 30.5 s", "TimeoutError: timed out after 7 s"],
    [
        "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://a.example/1",
        "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: http://b.example/x?y=2",
    ],
    ["requests.exceptions.HTTPError: 500 Server Error: Oops for url: https://a.example/1"],
    ['psycopg.errors.UniqueViolation: duplicate key value violates unique constraint "orders_pkey"'],
    ['psycopg.errors.ForeignKeyViolation: insert violates foreign key constraint "orders_user"'],
    ["sqlite3.OperationalError: database is locked"],
    ["sqlite3.OperationalError: no such table: users"],
    ["MemoryError"],
    ["main.c:3:5: error: expected ';' before 'x'", "main.c:30:15: error: expected ')' before 'y'"],
    ["main.c:3:5: error: unknown type name 'foo'"],
    ["ld: cannot find -lfoo"],
    ["error[E0382]: borrow of moved value: `s`", "error[E0382]: borrow of moved value: `table`"],
    [
        "panic: runtime error: index out of range [5] with length 3",
        "panic: runtime error: index out of range [12] with length 7",
    ],
    ["panic: runtime error: invalid memory address or nil pointer dereference"],
    ["fatal: not a git repository (or any of the parent directories): .git"],
    [
        "fatal: unable to access 'https://a.example/x.git/': Could not resolve host: a.example",
        "fatal: unable to access 'https://a.example/y.git/': Could not resolve host: a.example",
    ],
    ["error: failed to push some refs to 'origin'"],
    [
        "npm ERR! 404 Not Found - GET https://registry.example/a",
        "npm ERR! 404 Not Found - GET https://registry.example/b",
    ],
    ["npm ERR! code ELIFECYCLE"],
    ["E: Unable to locate package"],
    [
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1234 (apt)",
        "E: Could not get lock /var/lib/dpkg/lock. It is held by process 99 (apt)",
    ],
    [
        "ssh: connect to host 10.1.2.3 port 22: Connection timed out",
        "ssh: connect to host 10.1.2.4 port 2222: Connection timed out",
    ],
    ["ssh: Could not resolve hostname a"],
    ["Host key verification failed."],
    [
        "rsync error: some files/attrs were not transferred (code 23) at main.c(1338) [sender=3.2.7]",
        "rsync error: some files/attrs were not transferred (code 23) at main.c(1400) [sender=3.1.0]",
    ],
    [
        "rsync: connection unexpectedly closed (0 bytes received so far) [sender]",
        "rsync: connection unexpectedly closed (811 bytes received so far) [sender]",
    ],
    ["tar: Unexpected EOF in archive"],
    ["gzip: stdin: not in gzip format"],
    ["input.mp4: Invalid data found when processing input"],
    ["Conversion failed!"],
    [
        "docker: Error response from daemon: No such container: 4f66ad9a0b2e",
        "docker: Error response from daemon: No such container: 91c3e2f7d001",
    ],
    ["Error response from daemon: pull access denied for foo"],
    ["Segmentation fault (core dumped)"],
    ["Killed"],
    ["java.lang.OutOfMemoryError: Java heap space"],
    ["Caused by: java.net.ConnectException: Connection refused"],
    [
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total)",
        "RuntimeError: CUDA out of memory. Tried to allocate 2.50 MiB (GPU 1; 11.17 GiB total)",
    ],
    ["2026-11-28 10:00:01,123 ERROR worker 7 lost its lease", "2026-11-29T11:22:33Z ERROR worker 12 lost its lease"][
        :1
    ],
    ["[10:00:01] job 4711 failed for user a@b.example", "[23:59:59] job 9 failed for user x.y@c.example"],
    ["request 550e8400-e29b-41d4-a716-446655440000 failed", "request 123e4567-e89b-12d3-a456-426614174000 failed"],
    ["segfault at 0x7f3a2b error 4", "segfault at 0x55aa error 6"],
    ["commit 4f66ad9a0b2e1c is unknown", "commit 91c3e2f7d001ab is unknown"],
    ["make: *** [Makefile:12: all] Error 2", "make: *** [Makefile:7: all] Error 1"],
    ["terraform: exit 3 after apply"],
    ["cannot reach host7", "cannot reach host197"],
    ["gave up after 1m7s", "gave up after 12m34s"],
]


@pytest.mark.parametrize("lines", FAULTS, ids=lambda lines: lines[0][:40])
def test_the_same_fault_has_the_same_fingerprint(lines: list[str]) -> None:
    assert len({fingerprint("failed", 1, None, line) for line in lines}) == 1, [masked(line) for line in lines]


def test_two_faults_have_two_fingerprints() -> None:
    by_mask: dict[str, str] = {}
    for lines in FAULTS:
        assert by_mask.setdefault(masked(lines[0]), lines[0]) == lines[0]
    assert len({fingerprint("failed", 1, None, lines[0]) for lines in FAULTS}) == len(FAULTS) >= 60


def test_outcome_code_and_signal_count() -> None:
    numbers = {
        fingerprint("failed", 1, None, "x"),
        fingerprint("failed", 2, None, "x"),
        fingerprint("signalled", 137, 9, "x"),
        fingerprint("signalled", 139, 11, "x"),
        fingerprint("timed_out", 143, 15, "x"),
        fingerprint("failed", 1, None, None),
    }
    assert len(numbers) == 6


@given(st.binary(max_size=2000))
def test_any_output_gives_one_inert_line(output: bytes) -> None:
    words = last_words(output)
    assert words is None or (0 < len(words) <= MAX_LENGTH and clean_line(words) == words == words.strip())


@given(st.text(max_size=300))
def test_masking_twice_changes_the_fingerprint_of_nothing(line: str) -> None:
    assert fingerprint("failed", 1, None, line) == fingerprint("failed", 1, None, line)
    assert "\n" not in masked(line)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_fingerprint_is_read_as_it_is_written(number: int) -> None:
    assert parse_fingerprint(fingerprint_text(number)) == number


@pytest.mark.parametrize("text", ["", "12", "0" * 17, "g" * 16, " " + "0" * 15])
def test_what_is_no_fingerprint_is_none(text: str) -> None:
    assert parse_fingerprint(text) is None
