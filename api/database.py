"""Reading Postgres within a bound: a small pool that opens when it is needed, and one retry on a fresh connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from shared.database.connection import Connection, Pool, translated
from shared.errors import DatabaseUnavailableError

Result = TypeVar("Result")

# A route answers within 5 s whatever the database does; this leaves the rest for encoding.
READ_SECONDS = 4.0
HEALTH_SECONDS = 1.5
_CONNECT_SECONDS = 1.8
_POOL_SIZE = 8
_HEALTH_POOL_SIZE = 2
# What was given up here ends there too.
_STATEMENT_TIMEOUT_MILLISECONDS = "5000"


class Database:
    """Hands a connection to a function that reads with it; made by `open_database`."""

    def __init__(self, pool: Pool, health_pool: Pool) -> None:
        self._pool = pool
        self._health_pool = health_pool

    async def read(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Return what `work` returns; it may run twice, so it only reads.

        Raises DatabaseUnavailableError within READ_SECONDS, or DatabaseOutdatedError.
        """
        with translated():
            async with asyncio.timeout(READ_SECONDS):
                try:
                    return await _with_connection(self._pool, work)
                except DatabaseUnavailableError as error:
                    if isinstance(error.__cause__, TimeoutError):
                        raise
                    # The server cut this connection, so the others are cut as well.
                    await self._pool.expire_connections()
                    return await _with_connection(self._pool, work)

    async def read_health(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Like `read`, within HEALTH_SECONDS, on connections of its own, so that load does not look like an outage."""
        with translated():
            async with asyncio.timeout(HEALTH_SECONDS):
                try:
                    return await _with_connection(self._health_pool, work)
                except DatabaseUnavailableError as error:
                    if isinstance(error.__cause__, TimeoutError):
                        raise
                    return await _with_connection(self._health_pool, work)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Make the pools; nothing connects before the first read, so that the API starts without Postgres."""
    pools = [_make_pool(url, size) for size in (_POOL_SIZE, _HEALTH_POOL_SIZE)]
    try:
        yield Database(*[await pool for pool in pools])
    finally:
        for pool in pools:
            pool.terminate()


def _make_pool(url: str, size: int) -> Pool:
    with translated():
        return asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            timeout=_CONNECT_SECONDS,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": "minutebook-api",
                "timezone": "UTC",
                "jit": "off",
                "statement_timeout": _STATEMENT_TIMEOUT_MILLISECONDS,
            },
        )


async def _leave_as_it_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing here changes a session, and resetting it would cost as much as a query."""


async def _with_connection(pool: Pool, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    with translated():
        connection = await pool.acquire()
        try:
            return await work(connection)
        except asyncio.CancelledError:
            # The server may hang, and giving the connection back would wait for it too.
            connection.terminate()
            raise
        finally:
            await pool.release(connection)
