"""Run the project: settings, addresses, the launcher of all processes, quick start, demo and documentation.

Joins `scanner` and `checker`, which import nothing from here. In come the environment and the command line; out come
running processes.
"""

__version__ = "0.1.0"
