"""Bind the socket of the web server."""

from __future__ import annotations

import errno
import socket

from backup_syncer.errors import NotStarted, PortTaken

BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raise NotStarted, or PortTaken, when it cannot be had."""
    family = socket.AF_INET
    if ":" in host:
        family = socket.AF_INET6
    listener = socket.socket(family, socket.SOCK_STREAM)
    # Connections of an earlier start may linger for a minute and would keep the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"port {port} of {host}: {error.strerror}; choose another with --port"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(message) from error
        raise NotStarted(message) from error

    listener.listen(BACKLOG)
    return listener
