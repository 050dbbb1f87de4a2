"""Ports on this machine: free ones to choose, and taken ones to name."""

import errno
import random
import socket

from deploy.local.errors import LocalError, PortTakenError

LOOPBACK = "127.0.0.1"
# Systems give their clients ports above this range. From inside theirs, a client that keeps trying while its server is
# down may be given the very port that it calls, reach itself, and so keep the server from its port.
_FIRST, _LAST = 15_000, 29_999
_ATTEMPTS = 50


def free_port() -> int:
    """Return a port of loopback that nothing listens on now; another program may still be quicker to take it."""
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - not a secret
        if is_free(LOOPBACK, port):
            return port
    raise PortTakenError(f"No port between {_FIRST} and {_LAST} on {LOOPBACK} seems to be free.")


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens on the port now."""
    return _bind_error(host, port) is None


def check_free(host: str, port: int, setting: str) -> None:
    """Raise PortTakenError, which names the `setting` that changes the port, or LocalError if nobody can have it."""
    error = _bind_error(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise PortTakenError(
            f"Port {port} on {host} is taken by another program: stop that one, "
            f"or set {setting} to a free port, such as {setting}={port + 1 if port < 65_535 else port - 1}."
        ) from error
    raise LocalError(f"Port {port} on {host} cannot be listened on ({error.strerror}): change {setting}.") from error


def _bind_error(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do, so that connections of an earlier run that are still ending are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None
