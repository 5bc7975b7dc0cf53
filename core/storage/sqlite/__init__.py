"""The engine on SQLite: every statement that the queue runs; one function is one transaction is one verb."""
