"""Compute SHA-256 and MD5 of files, in this process (`hashlib`) or by the platform's own tools (`native`).

In: the files that the walk found, below an open root. Out: one answer for each file: its digests, a failure, or that it
has vanished. The pass over all files (`scanner.collector.run.hash_pass`) starts worker processes from here; `choice`
says which engine they use. Imports `scanner.collector.system` and the collector's entries, nothing else of the project.

To add a tool to the native engine, describe it in `profiles` and name it in `tests/scanner/collector/engines`.
"""
