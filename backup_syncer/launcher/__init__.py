"""Start and watch the processes of the central server: PostgreSQL, web server and task cluster.

In come the state directory and an address; out come running processes, which are replaced when they end or hang, and
stopped in order. When root starts it, everything runs as a system user of its own. The command, the quick start and the
development system import this directory.
"""
