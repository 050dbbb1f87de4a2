"""The project's errors: one base, and a class for each thing a user can act on.

MinutebookError
├── UsageError               a command was called with something it cannot use; correct the call
│   └── SettingsError        a setting is missing or malformed; correct the environment or `.env`
├── DatabaseError            Postgres cannot serve what was asked
│   ├── DatabaseUnavailableError   it does not answer; start it or wait, then try again
│   ├── DatabaseOutdatedError      it lacks the schema or a role's rights; run `python -m shared.database migrate`
│   └── DataRefusedError           it refuses a value or a row; correct what is written
├── ExchangeError            the exchange gave nothing usable
│   ├── ExchangeUnreachableError   no host answers; check the network and `COLLECTOR_REST_URLS`
│   ├── ExchangeRefusedError       it answered that the request itself is wrong, such as an unknown symbol
│   └── ArchiveCorruptError        an archive file does not match its checksum or its format
├── PredictionError          no forecast or no model can be made
│   ├── InputsMissingError         minutes that a forecast needs are not in the record
│   ├── TooLittleHistoryError      the record is too short to train on; collect more of it, or wait
│   └── TrainingUnderWayError      another predictor trains the symbol; wait for it
├── RegistryError            the model registry cannot serve what was asked
│   ├── RegistryUnavailableError   it does not answer; check PREDICTOR_MLFLOW_TRACKING_URI and the server
│   └── ModelUnusableError         a stored model is damaged or does not fit this version
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


class DataRefusedError(DatabaseError):
    """Postgres refuses a value or a row; `constraint` is the constraint that it breaks, where it breaks one."""

    def __init__(self, message: str, constraint: str | None = None) -> None:
        super().__init__(message)
        self.constraint = constraint


class ExchangeError(MinutebookError):
    """The exchange gave nothing usable."""


class ExchangeUnreachableError(ExchangeError):
    """No host of the exchange answers."""


class ExchangeRefusedError(ExchangeError):
    """The exchange answered that the request itself is wrong; `code` is its own number for why, where it gave one."""

    def __init__(self, message: str, code: object = None) -> None:
        super().__init__(message)
        self.code = code


class ArchiveCorruptError(ExchangeError):
    """An archive file does not match its checksum or its format."""


class PredictionError(MinutebookError):
    """No forecast or no model can be made."""


class InputsMissingError(PredictionError):
    """Minutes that a forecast needs are not in the record."""


class TooLittleHistoryError(PredictionError):
    """The record is too short to train on."""


class TrainingUnderWayError(PredictionError):
    """Another predictor trains the symbol."""


class RegistryError(MinutebookError):
    """The model registry cannot serve what was asked."""


class RegistryUnavailableError(RegistryError):
    """The model registry does not answer."""


class ModelUnusableError(RegistryError):
    """A stored model is damaged or does not fit this version."""


class LeadershipLostError(MinutebookError):
    """Another collector leads now."""
