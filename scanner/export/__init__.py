"""Give runs back: the report as it was signed, or a list that other tools check without this project.

Takes a complete run, rebuilds its lines from the rows and yields bytes in pieces, so that memory stays flat. Whatever
is written was held against the digest that the server signed. Imported by pages and commands.
"""
