"""The socket that the service listens at, opened once and shared by its workers."""

from __future__ import annotations

import errno
import socket

from digits.errors import ConfigError, Finding

BACKLOG = 2048  # connections that wait to be accepted

MEANINGS = {
    errno.EADDRINUSE: "is in use by another program: choose another, or 0 for any that is free",
    errno.EACCES: "is not allowed for this user: choose one from 1024 on",
}


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free.

    Raises:
        ConfigError: the address cannot be had; names the key.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:  # no such name; none at all
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([Finding("serving.host", f"{host}: {told}")]) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        key = "serving.port" if error.errno in MEANINGS else "serving.host"
        value = port if error.errno in MEANINGS else host
        told = MEANINGS.get(error.errno or 0, error.strerror or str(error))
        raise ConfigError([Finding(key, f"{value} {told}")]) from error
    return listener


def reachable(listener: socket.socket) -> tuple[str, int]:
    """Return host and port by which this machine itself reaches it."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port


def address_of(listener: socket.socket) -> str:
    """Return the address to type into a browser on this machine."""
    host, port = reachable(listener)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
