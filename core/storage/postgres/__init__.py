"""The PostgreSQL engine: the same queue on a server, for workers on many hosts."""
