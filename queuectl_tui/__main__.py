"""``python -m queuectl_tui`` is ``queuectl-tui``."""

from __future__ import annotations

import sys

from core.interrupt import end_at_once_while_starting

if __name__ == "__main__":
    end_at_once_while_starting()
    from queuectl_tui import main

    sys.exit(main())
