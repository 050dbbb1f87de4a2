"""The project's errors: one base, and a class for each thing a user can act on.

MinutebookError
├── UsageError               a command was called with something it cannot use; correct the call
│   └── SettingsError        a setting is missing or malformed; correct the environment or `.env`
├── DatabaseError            Postgres cannot serve what was asked
│   ├── DatabaseUnavailableError   it does not answer; start it or wait, then try again
│   └── DatabaseOutdatedError      it lacks the schema or a role's rights; run `python -m shared.database migrate`
├── ExchangeError            the exchange gave nothing usable
│   ├── ExchangeUnreachableError   no host answers; check the network and `COLLECTOR_REST_URLS`
│   ├── ExchangeRefusedError       it answered that the request itself is wrong, such as an unknown symbol
│   └── ArchiveCorruptError        an archive file does not match its checksum or its format
└── LeadershipLostError      another collector leads now; this one must stop writing
"""


class MinutebookError(Exception):
    """Base of every error that Minutebook raises on purpose; its text is one sentence for a user."""


class UsageError(MinutebookError):
    """A command was called with something it cannot use."""


class SettingsError(UsageError):
    """A setting is missing or malformed."""


class DatabaseError(MinutebookError):
    """Postgres cannot serve what was asked."""


class DatabaseUnavailableError(DatabaseError):
    """Postgres does not answer."""


class DatabaseOutdatedError(DatabaseError):
    """The database lacks the schema, or the role its rights."""


class ExchangeError(MinutebookError):
    """The exchange gave nothing usable."""


class ExchangeUnreachableError(ExchangeError):
    """No host of the exchange answers."""


class ExchangeRefusedError(ExchangeError):
    """The exchange answered that the request itself is wrong."""


class ArchiveCorruptError(ExchangeError):
    """An archive file does not match its checksum or its format."""


class LeadershipLostError(MinutebookError):
    """Another collector leads now."""
