"""Do the long work of the task cluster: compare the runs of a replica and the replicas of a group, and verify runs.

In comes what to judge; out come stored comparisons, proofs, and the findings that they open and close. Work waits as a
row, is counted before it starts and is set aside after three attempts.

Tasks, views, commands and the API import this directory. It imports `changes`, `divergences`, `findings`, `proofs` and
the models.
"""
