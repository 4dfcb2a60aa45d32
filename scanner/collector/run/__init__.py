"""Runs: what does one `run` do with the replicas of this server?

`session` asks the central server for the replicas, runs each, and has the reports delivered; `local` does the same for
one directory without a central server. `replica_run` runs one replica: `guards` check its root, `walk` lists it,
`hash_pass` reads its files, `confirm` reads again what changed without a trace, and `report_body` writes the records.
Until the report is made, everything lies in the tables of a `workspace`, which become the `state` that the next run
compares with. Only `commands` imports this directory.
"""
