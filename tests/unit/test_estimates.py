"""How far a command says it is, which commands are the same, and the median of their runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules.estimates import (
    COMMAND_CHARACTERS,
    LEAST_RUNS,
    MOST_RUNS,
    TAIL_BYTES,
    last_progress,
    masked_command,
    usual_s,
)


@pytest.mark.parametrize(
    ("tail", "share", "words"),
    [
        (b"50 %\n", 0.5, "50%"),
        (b"[ 45%] Building CXX object\n", 0.45, "45%"),
        (b"a.iso  7.5%\r a.iso 12.5%\r", 0.125, "12.5%"),
        (b"copied 3 of 12 files\n", 0.25, "3/12"),
        (b"step 3/12: compiling\n", 0.25, "3/12"),
        (b"Downloading 3 of 12.\n", 0.25, "3/12"),
        (b"12.5MiB / 50.0MiB", 0.25, "12.5/50.0 MiB"),
        (b"12.5/50.0 MB 3 MB/s", 0.25, "12.5/50.0"),
        (b"1,024/2,048 rows", 0.5, "1,024/2,048"),
        (b" 25%|###       | 25/100 [00:03<00:09]", 0.25, "25/100"),
        (b"\x1b[32m45%\x1b[0m\n", 0.45, "45%"),
        (b"10%\nnothing of the kind\nnor here\n", 0.1, "10%"),
        (b"10%\n120% of the plan\n7/3 of it\n", 0.1, "10%"),
        (b"0/3\n", 0.0, "0/3"),
    ],
)
def test_the_last_progress_is_found(tail: bytes, share: float, words: str) -> None:
    found = last_progress(tail)
    assert found is not None
    assert found.share == pytest.approx(share)
    assert found.words == words


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"nothing\n",
        b"2026/11/28 started\n",
        b"11/28 10:30:00 started\n",
        b"GET /a/3/17 HTTP/1.1\n",
        b"/srv/3/17\n",
        b"attempt 2 of 3\n",
        b"5/0\n",
        b"120%\n",
        b"7/3\n",
        b"1/2/3\n",
        b"100%25 of an address\n",
        b"\xff\xfe\x00\n",
    ],
)
def test_what_is_no_progress_is_not_taken_for_it(tail: bytes) -> None:
    assert last_progress(tail) is None


def test_a_number_that_is_cut_at_the_start_of_the_tail_is_not_read() -> None:
    """``100%`` whose first digit lies before the tail would be nothing at all."""
    assert last_progress((b"00%" + b" x" * TAIL_BYTES)[:TAIL_BYTES]) is None


@given(st.binary(max_size=3 * TAIL_BYTES))
def test_whatever_was_written_the_share_is_one(tail: bytes) -> None:
    found = last_progress(tail)
    assert found is None or (0 <= found.share <= 1 and found.words.isascii() and found.words.isprintable())


@given(st.text(max_size=50), st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_line_of_its_own_at_the_end_wins(before: str, done: int, total: int) -> None:
    found = last_progress(f"{before}\n{done}/{total}\n".encode())
    if done <= total:
        assert found is not None
        assert found.share == done / total


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("./encode holiday-1.mov 14", "./encode <path> <n>"),
        ("python /srv/etl.py --day 2026-01-02 /data/x.csv", "python /srv/etl.py --day <n> <path>"),
        ("python3 -u etl.py 7", "python3 -u etl.py <n>"),
        ("ffmpeg -i in-12.mov -crf 23 out-12.mp4", "ffmpeg -i <path> -crf <n> <path>"),
        ("cd /srv && ./a.sh 3", "cd <path> && ./a.sh <n>"),
        ("curl -fsS https://example.test/feed?a=1 | ./ingest", "curl -fsS <path> | ./ingest"),
        ("nice -n 5 ./run.sh 7", "nice -n <n> ./run.sh <n>"),
        ("timeout 5m ./run.sh 7", "timeout <n>m ./run.sh <n>"),
        ("DAY=3 make -j4 all", "DAY=<n> make -j<n> all"),
        ("git checkout deadbeef12", "git checkout <n>"),
        ("show 123e4567-e89b-12d3-a456-426614174000", "show <n>"),
        ("tar --file=/b/x.tar  -C\t/tmp", "tar --file=<path> -C <path>"),
        ("sync photos", "sync photos"),
    ],
)
def test_numbers_and_paths_among_the_arguments_are_masked(command: str, masked: str) -> None:
    assert masked_command(command) == masked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("./a.sh 1", "./b.sh 1"),
        ("python /srv/a.py", "python /srv/b.py"),
        ("cd /srv && ./a.sh", "cd /srv && ./b.sh"),
        ("make test", "make install"),
        ("sudo /bin/a 1", "sudo /bin/b 1"),
    ],
)
def test_other_programs_stay_apart(one: str, other: str) -> None:
    assert masked_command(one) != masked_command(other)


@given(st.text(max_size=300))
def test_any_command_can_be_masked(command: str) -> None:
    assert masked_command(command) == masked_command(command + " " * COMMAND_CHARACTERS)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_runs_with_other_numbers_are_runs_of_the_same(one: int, other: int) -> None:
    assert masked_command(f"./thumbs {one} p-{one}.jpg") == masked_command(f"./thumbs {other} p-{other}.jpg")


def test_nothing_is_told_of_fewer_than_three_runs() -> None:
    assert usual_s([]) is None
    assert usual_s([1.0] * (LEAST_RUNS - 1)) is None
    assert usual_s([1.0, 9.0, 2.0]) == 2.0


def test_the_newest_twenty_runs_decide() -> None:
    assert usual_s([1000.0] * 50 + [1.0] * MOST_RUNS) == 1.0
    assert usual_s([1.0, 2.0, 3.0, 10.0]) == 2.5


@given(st.lists(st.floats(0, 1e6), min_size=LEAST_RUNS))
def test_as_many_runs_were_shorter_as_were_longer(runs_s: list[float]) -> None:
    newest, usual = runs_s[-MOST_RUNS:], usual_s(runs_s)
    assert usual is not None
    assert sum(run < usual for run in newest) <= len(newest) / 2 >= sum(run > usual for run in newest)
