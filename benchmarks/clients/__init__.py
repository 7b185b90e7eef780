"""Libraries that ship input-convex networks, as clients: their own classes, unmodified, read, initialised and trained.

``python -m benchmarks.clients`` measures all of them and writes ``results/clients.json`` and the table of
``docs/clients.md``.
"""
