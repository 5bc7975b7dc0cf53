"""The commands, one file a verb: ``configure`` describes its options, ``run`` does it and returns the exit code."""
