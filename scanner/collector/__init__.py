"""The collector: the program that runs on each server, hashes its replicas and sends signed reports.

`cli` parses the command line and calls one of `commands`; a run happens in `run`, the digests come from `engines`,
`delivery` brings reports to the central server, and `system` speaks with the operating system. Everything here runs on
Python 3.9 with the standard library alone and is packed into one file, so that a server needs nothing else. It imports
`scanner.format` and nothing else of this project.
"""
