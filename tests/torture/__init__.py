"""The torture: harnesses that kill, stop, starve and corrupt the queue, and mutants that show that they bite."""

from tests.torture import mutants

mutants.install()
