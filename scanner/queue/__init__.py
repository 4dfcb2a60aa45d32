"""Carry wake-ups to the task cluster, so that no row of the database decides what code runs.

In come the functions that `scanner.tasks` and its like list, and calls by name; out come calls of exactly these
functions. django-q2 gives the processes: workers, time limits, recycling. Its own ways from a row to code (signed
pickles, schedules, hooks, stored results) are closed here. Imports nothing but the exceptions of the package.
"""
