"""Install other queues into a throw-away environment, to be measured: ``python -m bench.install_peers DIR``.

The Debian packages (``task-spooler nq parallel``) are left to you: this prints the command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv

_PACKAGES = ("huey", "litequeue", "persist-queue", "kyoo", "pgqueuer", "asyncpg", "procrastinate")


def main(arguments: list[str]) -> int:
    """Make the environment and say how it is used."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    directory = os.path.abspath(arguments[0])
    venv.create(directory, with_pip=True)
    python = os.path.join(directory, "bin", "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES], check=True)
    print("for the other peers:  sudo apt-get install task-spooler nq parallel")
    print(f"then:                 python -m bench --only peers --only postgres --peers-venv {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
