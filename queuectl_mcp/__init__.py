"""The queue as tools of the Model Context Protocol, for agents; an extra: ``queuectl-tui[mcp]``.

``queuectl mcp`` is the only way in, and the only place of this project that may need the package ``mcp``.
"""
