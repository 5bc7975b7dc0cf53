"""What a terminal shows after what a program has written: as much of a terminal as the dashboard's drawing takes."""

from __future__ import annotations

import codecs
import re

_PIECE = re.compile(
    r"\x1b\[(?P<args>[0-9;?<=>$]*)(?P<verb>[A-Za-z])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[^\[\]]"
    r"|(?P<control>[\r\n\x07])"
    r"|(?P<text>[^\x1b\r\n\x07]+)"
)


class PtyScreen:
    """A screen of ``columns`` x ``rows``, on which a wide character takes one place."""

    def __init__(self, *, columns: int, rows: int) -> None:
        self._lines = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Show what a program has written; a sequence that is not complete waits for its rest."""
        text = self._rest + self._decoder.decode(data)
        end = 0
        while piece := _PIECE.match(text, end):
            end = piece.end()
            self._show(piece)
        self._rest = text[end:]

    def _show(self, piece: re.Match[str]) -> None:
        if piece["text"]:
            for character in piece["text"]:
                if self._row < len(self._lines) and self._column < len(self._lines[0]):
                    self._lines[self._row][self._column] = character
                self._column += 1
        elif piece["control"] == "\r":
            self._column = 0
        elif piece["control"] == "\n":
            self._row += 1
        elif piece["verb"] == "H":
            row, _, column = piece["args"].partition(";")
            self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
        elif piece["verb"] == "J":
            self._lines = [[" "] * len(line) for line in self._lines]

    def text(self) -> str:
        """Return what is on the screen, line by line."""
        return "\n".join("".join(line).rstrip() for line in self._lines)
