"""Every statement that the queue runs: one function is one transaction is one verb."""
