"""``python -m queuectl_tui`` is ``queuectl-tui``."""

from __future__ import annotations

import sys

from queuectl_tui import main

if __name__ == "__main__":
    sys.exit(main())
