"""Compare the replicas of a group with each other, and say which copies are good.

In come the proven, complete runs of a group's replicas as rows of history. Out go the divergences of a comparison, with
a verdict on each copy, stored in tables of their own, and the pages, evidence and words that show them.

`participants` chooses the runs; `missing_directories` and `compare` find what differs, `moves` and `primary` what of it
is allowed or only elsewhere; `judgement` asks `history` and `verdicts` for the verdicts, for which `stamps` compares
times of different file systems; `store` stores the result, and remembers what was damaged; `queries`, `evidence` and
`listing` read it. `kinds` describes every kind of divergence and of verdict.

`checker.jobs.group_comparisons` runs a comparison. Findings, pages, views and commands read the result. This directory
imports `checker.changes` and the models, and none of those.
"""
