"""Finds free ports on this machine and reports taken ones."""

import errno
import random
import socket

from deploy.local.errors import LocalError, PortTakenError

LOOPBACK = "127.0.0.1"
# The system gives clients ports above this range. A server's port must not come from there: a client that keeps trying
# while the server is down may be given that very port, connect to itself, and so keep the server from starting.
_FIRST, _LAST = 15_000, 29_999
_ATTEMPTS = 50


def find_free_port() -> int:
    """Return a loopback port that nothing listens on now; another program may still take it first."""
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - not a secret
        if is_port_free(LOOPBACK, port):
            return port
    raise PortTakenError(
        f"No port between {_FIRST} and {_LAST} on {LOOPBACK} seems to be free: stop a program that listens there."
    )


def is_port_free(host: str, port: int) -> bool:
    """Whether nothing listens on the port now."""
    return _find_bind_error(host, port) is None


def check_port_is_free(host: str, port: int, setting: str) -> None:
    """Raise PortTakenError when the port is taken and LocalError when it cannot be bound; both name `setting`."""
    error = _find_bind_error(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise PortTakenError(
            f"Port {port} on {host} is taken by another program: stop that one, "
            f"or set {setting} to a free port, such as {setting}={port + 1 if port < 65_535 else port - 1}."
        ) from error
    raise LocalError(f"Port {port} on {host} cannot be listened on ({error.strerror}): change {setting}.") from error


def _find_bind_error(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Servers set this too, so that closing connections of an earlier run do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None
