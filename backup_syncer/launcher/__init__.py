"""Start and watch the processes of the central server: PostgreSQL, web server and task cluster."""
