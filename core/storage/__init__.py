"""Where the queue is kept: an engine, and how its rows become values."""
