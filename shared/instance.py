"""The name of one process of a service, which distinguishes its heartbeat and its leadership from others'."""

import os
import secrets
import socket


def make_instance_name() -> str:
    """Return a name for this process that no other has.

    It is short enough to fit an application_name, which Postgres cuts at 63 bytes.
    """
    return f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(3)}"
