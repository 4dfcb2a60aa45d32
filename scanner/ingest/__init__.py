"""Turn the bytes of reports into rows of history.

A report is checked while it streams in, takes its place in the chain of its replica, waits in the inbox and is merged
into the versions by a worker. `accept` and `import_files` are the ways in, `worker` is the way into the history.

Imported by the API, the admin, tasks, exports and commands, and by the proofs of `checker`, which read inbox and
journal. Imports `scanner.format`, `scanner.db` and the models.
"""
