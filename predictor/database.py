"""Postgres for a service that outlives its absence: every piece of work is bounded, and a later one connects anew."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from shared.database.driver import Connection, Pool, make_pool, opening, translated

Result = TypeVar("Result")
Isolation = Literal["repeatable_read", "read_committed"]

# Recovery is promised within 5 s of Postgres's return, so nothing may wait longer for what was sent before.
WORK_SECONDS = 4.0
_CONNECT_SECONDS = 2.0
_POOL_SIZE = 6


class Database:
    """Hands a connection to a function that works with it; made by `open_database`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, work: Callable[[Connection], Awaitable[Result]], seconds: float = WORK_SECONDS) -> Result:
        """Return what `work` returns, which sees one state of the database throughout.

        Raises DatabaseUnavailableError within so many seconds when Postgres does not answer, and DatabaseError.
        """
        return await self._run(work, seconds, isolation="repeatable_read", readonly=True)

    async def write(self, work: Callable[[Connection], Awaitable[Result]], seconds: float = WORK_SECONDS) -> Result:
        """Like `read`, in a transaction that may write; what others commit meanwhile is seen and no conflict."""
        return await self._run(work, seconds, isolation="read_committed", readonly=False)

    async def _run(
        self, work: Callable[[Connection], Awaitable[Result]], seconds: float, *, isolation: Isolation, readonly: bool
    ) -> Result:
        with translated():
            async with asyncio.timeout(seconds):
                connection = await self._pool.acquire()
                try:
                    async with connection.transaction(isolation=isolation, readonly=readonly):
                        return await work(connection)
                except asyncio.CancelledError:
                    # The server may hang, and giving the connection back would wait for it too.
                    connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Make the pool; nothing connects before the first work."""
    with opening():
        pool = await make_pool(
            url,
            "minutebook-predictor",
            max_size=_POOL_SIZE,
            connect_seconds=_CONNECT_SECONDS,
            server_settings={"idle_in_transaction_session_timeout": "10s"},
        )
    try:
        yield Database(pool)
    finally:
        pool.terminate()
