"""Deliver spooled reports to the central server, and meet that server for the first time."""
