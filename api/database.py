"""Reading Postgres within a bound: a small pool that opens when it is needed, and one retry on a fresh connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import asyncpg

from shared.database.driver import Connection, Pool, make_pool, opening, translated
from shared.errors import DatabaseUnavailableError

Result = TypeVar("Result")
Work = Callable[[Connection], Awaitable[Result]]

# What was given up here ends there too.
_STATEMENT_TIMEOUT_MILLISECONDS = "5000"


class _Bounds(NamedTuple):
    """How many connections there are, and how long one may take to open, and a read altogether."""

    pool_size: int
    connect_seconds: float
    read_seconds: float


# A route answers within 5 s whatever the database does; this leaves the rest for encoding.
_READ = _Bounds(8, 1.8, 4.0)
# And health within 2 s.
_HEALTH = _Bounds(2, 1.2, 1.5)


class Database:
    """Hands a connection to a function that reads with it; made by `open_database`.

    The function may run twice, so it only reads. Raises DatabaseError: DatabaseUnavailableError within the bound.
    """

    def __init__(self, pool: Pool, health_pool: Pool) -> None:
        self._pool = pool
        self._health_pool = health_pool

    async def read(self, work: Work[Result]) -> Result:
        """Return what `work` returns."""
        return await _read(self._pool, _READ.read_seconds, work)

    async def read_health(self, work: Work[Result]) -> Result:
        """Like `read`, on connections of its own, so that load does not look like an outage."""
        return await _read(self._health_pool, _HEALTH.read_seconds, work)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Make the pools; nothing connects before the first read, so that the API starts without Postgres."""
    with opening():
        pools = [await _make_pool(url, bounds) for bounds in (_READ, _HEALTH)]
    try:
        yield Database(*pools)
    finally:
        for pool in pools:
            pool.terminate()


async def _read(pool: Pool, seconds: float, work: Work[Result]) -> Result:
    with translated():
        async with asyncio.timeout(seconds):
            try:
                return await _read_once(pool, work)
            except DatabaseUnavailableError as error:
                if isinstance(error.__cause__, TimeoutError):
                    raise
                # The server cut this connection, so the others are cut as well.
                await pool.expire_connections()
                return await _read_once(pool, work)


async def _read_once(pool: Pool, work: Work[Result]) -> Result:
    with opening():
        connection = await pool.acquire()
    with translated():
        try:
            return await work(connection)
        except asyncio.CancelledError:
            # The server may hang, and giving the connection back would wait for it too.
            connection.terminate()
            raise
        finally:
            await pool.release(connection)


def _make_pool(url: str, bounds: _Bounds) -> Pool:
    return make_pool(
        url,
        "minutebook-api",
        max_size=bounds.pool_size,
        connect_seconds=bounds.connect_seconds,
        reset=_leave_as_it_is,
        server_settings={"statement_timeout": _STATEMENT_TIMEOUT_MILLISECONDS},
    )


async def _leave_as_it_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing here changes a session, and resetting it would cost as much as a query."""
