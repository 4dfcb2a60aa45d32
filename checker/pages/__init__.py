"""Read what the pages show.

Each module is the read model of one page or of a part that several pages share: it takes models and plain values
(a replica, a moment, a filter), runs its queries and returns named tuples that a template can render. Nothing here
writes to the database, knows of requests or builds HTML. Views, commands and template tags import from here;
`checker.findings`, `checker.divergences` and `checker.changes` are imported here and never the other way round.
"""
