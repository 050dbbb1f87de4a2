"""What the driver raises, as Minutebook's own errors."""

import asyncpg

from shared.errors import DatabaseError, DatabaseOutdatedError, DatabaseUnavailableError, DataRefusedError

# The connection is gone: the server stops, restarts or recovers, or has cut it off. Another one may do.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.TargetServerAttributeNotMatched,
    ConnectionError,
)
# The server is there and cannot do it now: it ran out of time, memory, disk or connections, undid a transaction for
# another's sake, waits for a lock, or became a standby; or a table changed under a prepared statement.
_BUSY = (
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.ReadOnlySQLTransactionError,
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


class ConnectionLostError(DatabaseUnavailableError):
    """The connection is gone, or none could be opened: what was to be read may be asked for on another one."""


def translate(error: Exception, *, is_cut_off: bool, is_read_only: bool = False) -> DatabaseError | None:
    """Return the error that says what a user can do about a failed call; None for a programmer's mistake.

    `is_cut_off` says whether the call's connection is gone, `is_read_only` whether its transaction was begun to read
    only, so that to write in it is such a mistake.
    """
    if isinstance(error, _OUTDATED):
        return DatabaseOutdatedError(
            f"The database does not fit this version ({reason_of(error)}); run `python -m shared.database migrate`."
        )
    if isinstance(error, TimeoutError):
        return DatabaseUnavailableError(_describe_absence(error))
    if isinstance(error, _LOST) or (is_cut_off and isinstance(error, _MISTAKE_OR_LOSS)):
        return ConnectionLostError(_describe_absence(error))
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and is_read_only:
        return None
    if isinstance(error, _BUSY):
        return DatabaseUnavailableError(f"Postgres cannot serve this now ({reason_of(error)}); try again.")
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError) and not _is_mistake(error):
        return DataRefusedError(f"Postgres: {error}", constraint=error.constraint_name)
    return None


def _is_mistake(error: asyncpg.PostgresError) -> bool:
    """Whether the statement is wrong, rather than the data: it leaves a column out, or divides by zero.

    The driver raises a DataError of its own, without a severity, for an argument of the wrong type.
    """
    return error.severity is None or isinstance(error, asyncpg.NotNullViolationError | asyncpg.DivisionByZeroError)


def translate_opening(error: Exception) -> DatabaseError | None:
    """As `translate`, for opening a connection, where the URL and the network can be wrong too."""
    if isinstance(error, DatabaseError):
        return None
    if isinstance(error, _LOGIN_REFUSED):
        return DatabaseError(f"Postgres refuses the connection ({reason_of(error)}); check the database URL.")
    translated = translate(error, is_cut_off=True)
    if translated is None and isinstance(error, OSError):
        return ConnectionLostError(_describe_absence(error))
    if translated is None and isinstance(error, ValueError):
        return DatabaseError(f"The database URL cannot be read ({reason_of(error)}); correct it.")
    return translated


def _describe_absence(error: Exception) -> str:
    return f"Postgres does not answer ({reason_of(error)}); check that it runs and that the database URL is right."


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, TimeoutError):
        return "timed out"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
