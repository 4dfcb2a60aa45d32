"""Judge what `scanner` holds: proofs of runs, comparisons of runs and replicas, findings, and their pages.

Reads the rows of `scanner` and writes rows of its own. Imports `scanner`, which never imports it.
"""
