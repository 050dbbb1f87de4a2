"""What can keep Minutebook from running on this machine, each with a sentence that says what to change.

MinutebookError
└── LocalError           this machine, folder or account cannot run it as it stands
    ├── InUseError       another run holds the folder; stop that one first
    └── PortTakenError   another program listens on the port; stop it or choose another port
"""

from shared.errors import MinutebookError


class LocalError(MinutebookError):
    """Minutebook cannot run on this machine, in this folder or as this account, as it stands."""


class InUseError(LocalError):
    """Another run holds the folder."""


class PortTakenError(LocalError):
    """Another program listens on the port."""
