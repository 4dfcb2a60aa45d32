"""Carry wake-ups to the task cluster, so that no row of the database decides what code runs.

Applications list their functions and enqueue calls by name; the cluster gets calls of exactly these functions. Its
processes, time limits and recycling are those of django-q2, whose own ways from a row to code (signed pickles,
schedules, hooks, stored results) are closed here. Imports nothing but the exceptions of the package.
"""
