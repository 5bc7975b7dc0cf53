"""The dashboard's only users of ``core.queue`` and of the worker: threads that read and write, and post messages."""
