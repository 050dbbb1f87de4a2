"""The reasons why Minutebook cannot run on this machine; each message says what to change.

MinutebookError
└── LocalError           this machine, folder or account cannot run it
    ├── InUseError       another run uses the folder; stop that one first
    └── PortTakenError   another program listens on the port; stop it or choose another port
"""

from shared.errors import MinutebookError


class LocalError(MinutebookError):
    """Minutebook cannot run on this machine, in this folder or as this account."""


class InUseError(LocalError):
    """Another run uses the folder."""


class PortTakenError(LocalError):
    """Another program listens on the port."""
