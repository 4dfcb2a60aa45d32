"""Write, read, sign and digest reports.

Runs on the servers as a part of the collector and on the central server: standard library only (cryptography is
optional), Python 3.9, no Django. Whatever both sides must agree on stands here. Imports nothing else of the project.
"""
