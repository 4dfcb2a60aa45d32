"""What servers report, and the history made of it: collector, format, API, ingest, exports.

This file holds no code, so that importing `scanner.collector` on a server pulls in nothing else.
"""
