"""Reads what the terminal sends and bears what no terminal should: bytes that are not UTF-8, sequences without sense.

Textual 8.2.8 reads with a thread that ends the program at the first such byte or sequence: a pasted Latin-1 text, line
noise, a terminal that reports more than it was asked for.
"""

from __future__ import annotations

import codecs
from functools import partial

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver


class PatientDriver(LinuxDriver):
    """Drives the terminal; what cannot be understood costs what was read together with it, at the most 4 KiB."""

    def run_input_thread(self) -> None:
        """Read until the driver is told to end; a byte that is not UTF-8 becomes U+FFFD."""
        linux_driver.getincrementaldecoder = _getincrementaldecoder  # type: ignore[assignment, attr-defined]
        while not self.exit_event.is_set():
            try:
                super().run_input_thread()
            except (ValueError, OverflowError):  # numbers in a sequence that are none, or too large
                continue
            except OSError:  # the terminal has gone: its watch ends the program
                return


def _getincrementaldecoder(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
