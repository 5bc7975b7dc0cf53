"""``python -m core`` is ``queuectl``."""

from __future__ import annotations

import sys

from core.interrupt import end_at_once_on_interrupt, end_quietly

if __name__ == "__main__":
    end_at_once_on_interrupt()
    from core.cli import main

    sys.exit(end_quietly(main))
