"""Receive the reports of servers and keep their history: collector, format, API, ingest, exports.

This file holds no code, so that importing `scanner.collector` on a server pulls in nothing else.
"""
