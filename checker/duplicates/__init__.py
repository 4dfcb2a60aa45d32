"""The same content under several paths of a replica, and what it costs."""
