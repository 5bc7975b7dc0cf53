"""A search in an output goes on in steps behind the keys, and counts what it finds; without a terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from queuectl_tui.widgets.output_lines import OutputLines
from queuectl_tui.widgets.text_search import TextSearch
from tests.tui.fake_output import FakeOutput, numbered


class Searched:
    """A search in an output whose steps are taken by ``work``, and what it reported."""

    def __init__(self, data: bytes) -> None:
        self.output = FakeOutput(data)
        self.lines = OutputLines()
        self.lines.open(self.output, is_same=False)
        self.lines.extend(1 << 20)
        self.steps: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self.ends: list[tuple[int | None, bool]] = []
        self.counts = 0
        self.search = TextSearch(self.lines, self._later, lambda *end: self.ends.append(end), self._counted)

    def _later(self, step: Callable[..., object], *arguments: object) -> None:
        self.steps.append((step, arguments))

    def _counted(self) -> None:
        self.counts += 1

    def work(self) -> None:
        while self.steps:
            step, arguments = self.steps.popleft()
            step(*arguments)


def test_the_next_line_is_found_from_the_top_then_from_the_line_found_and_round_the_end() -> None:
    searched = Searched(numbered(20))
    searched.search.begin("line 1", 5)
    assert searched.ends == [], "not before the keys that wait"
    searched.work()
    assert (searched.search.line, searched.search.words) == (10, "2 of 11")
    searched.search.find_previous(0)
    searched.work()
    searched.search.find_previous(0)
    searched.work()
    assert searched.ends == [(10, False), (1, False), (19, True)]
    searched.search.find_next(0)
    searched.work()
    assert searched.ends[-1] == (1, True)


def test_a_newer_search_takes_the_place_of_one_under_way() -> None:
    searched = Searched(numbered(20))
    searched.search.begin("line 3", 0)
    searched.search.begin("line 7", 0)
    searched.work()
    assert searched.ends == [(7, False)]
    assert searched.search.words == "1 of 1"


def test_keys_that_come_before_a_search_has_ended_count_each() -> None:
    """Also behind the text itself, in either direction, and round the end; two that undo each other go nowhere."""
    searched = Searched(numbered(30))
    searched.search.begin("line 1", 0)
    searched.search.find_next(0)
    searched.work()
    assert searched.search.line == 10
    for keys, line in (("nn", 12), ("nnn", 15), ("NN", 13), ("nNn", 14), ("NnN", 13), ("nN", 13), ("n" * 11, 13)):
        for key in keys:
            (searched.search.find_next if key == "n" else searched.search.find_previous)(0)
        searched.work()
        assert searched.search.line == line, keys
    ends = len(searched.ends)
    searched.search.find_next(0)
    searched.search.find_next(0)
    searched.search.begin("nowhere", 0)
    searched.work()
    assert searched.ends[ends:] == [(None, True)]


def test_what_is_in_no_line_ends_without_one() -> None:
    searched = Searched(numbered(3))
    searched.search.begin("no such thing", 0)
    searched.work()
    assert searched.ends == [(None, True)]
    assert (searched.search.line, searched.search.words) == (None, "")


def test_without_a_text_nothing_is_looked_for_or_counted() -> None:
    searched = Searched(numbered(3))
    searched.search.begin("line", 0)
    searched.search.begin("", 0)
    searched.search.find_next(0)
    searched.work()
    assert (searched.ends, searched.counts, searched.search.text) == ([], 0, "")


def test_it_counts_on_as_the_output_grows_and_anew_in_another() -> None:
    searched = Searched(numbered(3))
    searched.search.begin("line", 0)
    searched.work()
    assert (searched.search.words, searched.counts) == ("1 of 3", 1)
    searched.output.data += numbered(2, first=3)
    searched.lines.extend(1 << 20)
    searched.search.grown()
    searched.work()
    assert (searched.search.words, searched.counts) == ("1 of 5", 2)
    searched.lines.open(FakeOutput(numbered(1), attempt_id=2), is_same=False)
    searched.lines.extend(1 << 20)
    searched.search.restart()
    searched.work()
    assert searched.counts == 3
    searched.search.find_next(0)
    searched.work()
    assert searched.search.words == "1 of 1"


def test_nothing_is_looked_at_while_the_output_is_being_read() -> None:
    searched = Searched(numbered(3))
    searched.lines.is_reading = True
    searched.search.begin("line 2", 0)
    for _ in range(5):
        step, arguments = searched.steps.popleft()
        step(*arguments)
    assert searched.ends == []
    searched.lines.is_reading = False
    searched.work()
    assert searched.ends == [(2, False)]
