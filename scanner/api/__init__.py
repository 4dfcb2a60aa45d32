"""Speak HTTP with collectors, below `/api/v1/`.

Takes requests, checks who calls and how much they may send, hands reports to `scanner.ingest` and answers with
signed replies. Imported by the URL configuration alone.
"""
