"""Find contents that a replica, or each replica of a group, has under several paths, and what they waste.

In comes a place, a replica or a group with the newest complete runs of its replicas (`places`). Out come contents by
what they waste, with their paths (`queries`), for pages (`listing`), files (`export`) and the command. Nothing is
stored.

Views and commands import this directory. It imports the models and the formats of `checker.changes.export`.
"""
