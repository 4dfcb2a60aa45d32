"""Share the SQL tools that more than one directory needs: keyset paging, locks, attempts, errors, binary COPY.

In come models and parameters; out come rows, pages and lines as named tuples or bytes. Nothing here decides what is
right: that is for `scanner.ingest` and `checker`.

Imports `scanner.format` and the models. Every directory of `scanner` and `checker` that needs SQL may import it.
"""
