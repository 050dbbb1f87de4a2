"""Connections to Postgres: bounded in time, and with the driver's errors translated once, here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.database.failures import reason_of
from shared.database.hosts import Hosts
from shared.errors import DatabaseError, DatabaseOutdatedError, DatabaseUnavailableError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Executor: TypeAlias = "Connection | Pool"

CONNECT_TIMEOUT_SECONDS = 3.0

# What means "not there now, try again", beside the operating system's errors: the server stops, starts, recovers,
# has no slot left, was cut off, undid a transaction for another's sake, or (read-only) a fail-over made the server a
# standby under us.
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
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.TransactionRollbackError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
    OSError,
)
_OUTDATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InsufficientPrivilegeError,
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours; a programmer's error, such as bad SQL, passes as it is."""
    try:
        yield
    except _OUTDATED as error:
        raise DatabaseOutdatedError(
            f"The database does not fit this version ({reason_of(error)}); run `python -m shared.database migrate`."
        ) from error
    except _REFUSED as error:
        raise DatabaseError(f"Postgres refuses the connection ({reason_of(error)}); check the database URL.") from error
    except _UNAVAILABLE as error:
        raise DatabaseUnavailableError(
            f"Postgres does not answer ({reason_of(error)}); check that it runs and that the database URL is right."
        ) from error


@contextmanager
def opening() -> Iterator[None]:
    """As `translated`, and a URL that the driver cannot read is said too; for opening connections and pools."""
    try:
        with translated():
            yield
    except ValueError as error:
        raise DatabaseError(f"The database URL cannot be read ({reason_of(error)}); correct it.") from error


@asynccontextmanager
async def connect(url: str, application_name: str, **server_settings: str) -> AsyncIterator[Connection]:
    """Open one connection and close it at the end; raises DatabaseError when it cannot be had.

    Only opening is translated: what runs inside keeps its own errors, so wrap it in `translated` where they are met.
    """
    with opening():
        connection = await Hosts(url).connect(
            CONNECT_TIMEOUT_SECONDS, server_settings=_session(application_name, server_settings)
        )
    try:
        yield connection
    finally:
        await close(connection)


def make_pool(  # noqa: PLR0913 - most of them have a default
    url: str,
    application_name: str,
    *,
    max_size: int,
    min_size: int = 0,
    connect_seconds: float = CONNECT_TIMEOUT_SECONDS,
    statement_seconds: float | None = None,
    reset: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]] | None = None,
    server_settings: Mapping[str, str] | None = None,
) -> Pool:
    """Make a pool, to be awaited within `opening`, which makes its `min_size` first connections.

    `statement_seconds` bounds each statement; `reset` replaces what the driver does to a connection that comes back.
    """
    hosts = Hosts(url)

    async def open_one(
        dsn: str | None = None,  # noqa: ARG001 - the driver names it; it is the pool's url
        **options: Any,
    ) -> "asyncpg.Connection[asyncpg.Record]":
        return await hosts.connect(connect_seconds, **options)

    return asyncpg.create_pool(
        url,
        connect=open_one,
        min_size=min_size,
        max_size=max_size,
        command_timeout=statement_seconds,
        reset=reset,
        server_settings=_session(application_name, server_settings or {}),
    )


async def close(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Close within a second; a server that no longer answers is not waited for."""
    try:
        await connection.close(timeout=1.0)
    except (*_UNAVAILABLE, asyncio.CancelledError):
        connection.terminate()


def _session(application_name: str, further: Mapping[str, str]) -> dict[str, str]:
    return {"application_name": application_name, "timezone": "UTC", "jit": "off", **further}
