"""``python -m core`` is ``queuectl``."""

from __future__ import annotations

import sys

from core.interrupt import end_at_once_while_starting

if __name__ == "__main__":
    end_at_once_while_starting()
    from core.cli import main

    sys.exit(main())
