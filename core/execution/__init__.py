"""Running commands on this host: the worker, its shims, what it watches, and what dead workers left behind."""
