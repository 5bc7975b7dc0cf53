"""The screen that tests read in a terminal."""

from __future__ import annotations

from tests.tui.pty_screen import PtyScreen


def test_text_stands_where_the_cursor_was_sent_to() -> None:
    """Colours, titles and modes leave no trace; later text stands over earlier."""
    screen = PtyScreen(columns=10, rows=3)
    screen.feed(b"\x1b[?1049h\x1b]0;a title\x07\x1b[1;31mfirst\x1b[0m\r\nsecond\x1b[1;3H--\x1b[3;9Hlonger")
    assert screen.text() == "fi--t\nsecond\n        lo"
    screen.feed(b"\x1b[2Jx")
    assert screen.text().split() == []
    screen.feed(b"\x1b[Hx")
    assert screen.text() == "x\n\n"


def test_what_is_written_in_two_parts_is_shown_as_in_one() -> None:
    """Sequences and characters may be cut anywhere."""
    written = "é\x1b[2;3Hü\x1b]0;t\x07z".encode()
    for place in range(len(written)):
        screen = PtyScreen(columns=5, rows=2)
        screen.feed(written[:place])
        screen.feed(written[place:])
        assert screen.text() == "é\n  üz"
