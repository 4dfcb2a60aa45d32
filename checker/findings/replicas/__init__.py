"""Findings between the replicas of a group, opened, renewed and resolved by each comparison of the newest runs.

A comparison comes in through `update`, which jobs call; rows of Finding and AuditEntry come out, and divergences that
know their finding. `store` has the SQL, `renewal` what open findings say, `members` the paths that a page lists.
"""
