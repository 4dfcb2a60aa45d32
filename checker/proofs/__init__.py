"""Decide whether a run is proven: signature, chain, journal, and records rebuilt from the rows of the database.

In comes a run; out comes a verification, a list of checks with the reason for each that failed. `verifier` verifies one
run and stores its proof, `batch` verifies many; `chain`, `records` and `queries` do the parts.

Jobs, tasks, pages and commands import this directory. It imports the models, and nothing else of `checker`.
"""
