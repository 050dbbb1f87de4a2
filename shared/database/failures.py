"""What the driver raises, as Minutebook's own errors."""

import asyncpg

from shared.errors import DatabaseError, DatabaseOutdatedError, DatabaseUnavailableError, DataRefusedError

# Each means "not there now, try again": the server stops, starts or recovers, has no connection left, cut this one off,
# undid a transaction for another's sake, or became a standby.
_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.TargetServerAttributeNotMatched,
    ConnectionError,
    TimeoutError,
)
_OUTDATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InsufficientPrivilegeError,
)
_LOGIN_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)
# The driver raises these for a mistake in a call, and for a call on a connection that is gone.
_MISTAKE_OR_LOSS = (asyncpg.InterfaceError, asyncpg.InternalClientError)


def translate(error: Exception, *, is_cut_off: bool) -> DatabaseError | None:
    """Return the error that says what a user can do about a failed call; None for a programmer's mistake.

    `is_cut_off` says whether the call's connection is gone.
    """
    if isinstance(error, _OUTDATED):
        return DatabaseOutdatedError(
            f"The database does not fit this version ({reason_of(error)}); run `python -m shared.database migrate`."
        )
    if isinstance(error, _UNAVAILABLE) or (is_cut_off and isinstance(error, _MISTAKE_OR_LOSS)):
        return DatabaseUnavailableError(
            f"Postgres does not answer ({reason_of(error)}); check that it runs and that the database URL is right."
        )
    # The driver raises a DataError of its own, without a severity, for an argument of the wrong type.
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError) and error.severity is not None:
        return DataRefusedError(f"Postgres: {error}", constraint=error.constraint_name)
    return None


def translate_opening(error: Exception) -> DatabaseError | None:
    """As `translate`, for opening a connection, where the URL and the network can be wrong too."""
    if isinstance(error, DatabaseError):
        return None
    if isinstance(error, _LOGIN_REFUSED):
        return DatabaseError(f"Postgres refuses the connection ({reason_of(error)}); check the database URL.")
    if isinstance(error, OSError):
        return DatabaseUnavailableError(
            f"Postgres does not answer ({reason_of(error)}); check that it runs and that the database URL is right."
        )
    translated = translate(error, is_cut_off=True)
    if translated is None and isinstance(error, ValueError):
        return DatabaseError(f"The database URL cannot be read ({reason_of(error)}); correct it.")
    return translated


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, TimeoutError):
        return "timed out"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
