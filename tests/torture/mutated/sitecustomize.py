"""Makes a program that has this directory on its path the mutant that its environment names."""

import tests.torture  # noqa: F401
