"""Find what changed between two complete runs of a replica, store it, and read it for pages, files and the API.

In come two runs and the history between them; out come changes, each of one kind (`kinds`), and their numbers below
each directory. `compare` finds them in temporary tables, `store` writes them, `queries` reads them; `listing`,
`differences` and `export` are for those who show them. Statements stand in `sql`.

Jobs, findings, pages, views, commands and the API import this directory. It imports the models and nothing else of
`checker`.
"""
