"""Turn the bytes of reports into rows of history.

A report is checked while it streams in, takes its place in the chain of its replica, waits in the inbox and is merged
into the versions by a worker. Imports `scanner.format`, `scanner.db` and the models.
"""
