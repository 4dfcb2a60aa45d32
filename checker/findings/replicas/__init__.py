"""Findings between the replicas of a group."""
