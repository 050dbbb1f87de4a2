"""The one way to Postgres: work is handed a connection, within bounds of time and number."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.database.connection import Connection, Isolation
from shared.database.failures import ConnectionLostError, translate_opening
from shared.database.hosts import DatabaseHosts
from shared.errors import DatabaseUnavailableError

Result = TypeVar("Result")
Work: TypeAlias = Callable[[Connection], Awaitable[Result]]
Session: TypeAlias = Mapping[str, str]
_PooledConnection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 3.0
_CLOSE_SECONDS = 1.0
_NO_SETTINGS: Session = {}


class Bounds(NamedTuple):
    """What a database may take of a process, and of its time.

    At most `pool_size` connections are open. `connect_seconds` bounds the opening of one, `statement_seconds` each
    statement, and `work_seconds` a whole piece of work, the wait for a connection included; None is no bound.
    """

    pool_size: int
    connect_seconds: float = CONNECT_SECONDS
    work_seconds: float | None = None
    statement_seconds: float | None = None


class Database:
    """A pool of connections, each opened when it is needed; made by `open_database`.

    `read` and `write` hand a connection to a function, the work, and return what it returns. They raise DatabaseError:
    DatabaseUnavailableError, within the bounds, when Postgres does not answer. What the work itself raises passes.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", opener: "_Opener", bounds: Bounds) -> None:
        self._pool = pool
        self._opener = opener
        self._bounds = bounds
        self._is_terminated = False

    async def read(self, work: Work[Result], *, snapshot: bool = False, seconds: float | None = None) -> Result:
        """Run work that only reads, and once more on a fresh connection where the first one was lost or not to be had.

        With `snapshot` all its statements see the database in one state.
        """
        isolation: Isolation | None = "repeatable_read" if snapshot else None
        async with _TimeLimit(self._bounds.work_seconds if seconds is None else seconds):
            try:
                return await self._run(work, isolation, readonly=snapshot)
            except ConnectionLostError:
                # The pool's other connections were probably lost with it.
                await self._pool.expire_connections()
                return await self._run(work, isolation, readonly=snapshot)

    async def write(self, work: Work[Result], *, seconds: float | None = None) -> Result:
        """Run work in one transaction, which sees what others commit meanwhile; it is not tried again."""
        async with _TimeLimit(self._bounds.work_seconds if seconds is None else seconds):
            return await self._run(work, "read_committed")

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Open a connection beside the pool and close it after the block: for a lease, a lock, or to listen."""
        return _open_connection(self._opener, {"command_timeout": self._bounds.statement_seconds})

    def terminate(self) -> None:
        """Cut off the pool at once: work under way and later work raises DatabaseUnavailableError."""
        self._is_terminated = True
        self._pool.terminate()

    async def _run(self, work: Work[Result], isolation: Isolation | None, *, readonly: bool = False) -> Result:
        driver = await self._acquire()
        connection = Connection(driver)
        try:
            if isolation is None:
                return await work(connection)
            async with connection.transaction(isolation=isolation, readonly=readonly):
                return await work(connection)
        except asyncio.CancelledError:
            # The server may hang, and to give the connection back would wait for it too.
            connection.terminate()
            raise
        finally:
            connection.mark_returned()
            await self._release(driver)

    async def _acquire(self) -> _PooledConnection:
        try:
            return await self._pool.acquire()
        except Exception as error:
            if self._is_terminated and isinstance(error, asyncpg.InterfaceError):
                raise DatabaseUnavailableError("The connections to Postgres have been cut off.") from None
            _raise_ours(error)
            raise

    async def _release(self, driver: _PooledConnection) -> None:
        try:
            await self._pool.release(driver)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            # The driver has ended it, and the pool opens another one; the work's own result or error is returned.
            return


@asynccontextmanager
async def open_database(
    url: str, application_name: str, bounds: Bounds, session: Session = _NO_SETTINGS
) -> AsyncIterator[Database]:
    """Make a database, and cut off its connections after the block; nothing connects before the first work.

    `session` has settings of Postgres for each connection, such as `statement_timeout`.
    """
    opener = _Opener(url, application_name, bounds.connect_seconds, session)
    pool = await asyncpg.create_pool(
        connect=opener.open_for_pool,
        min_size=0,
        max_size=bounds.pool_size,
        command_timeout=bounds.statement_seconds,
        reset=_leave_as_it_is,
    )
    database = Database(pool, opener, bounds)
    try:
        yield database
    finally:
        database.terminate()


def connect(url: str, application_name: str, **session: str) -> AbstractAsyncContextManager[Connection]:
    """Open one connection without a pool, and close it after the block; raises DatabaseError where there is none."""
    return _open_connection(_Opener(url, application_name, CONNECT_SECONDS, session), {})


class _TimeLimit:
    """Bounds a piece of work: it raises DatabaseUnavailableError in place of what a time-out has cut short."""

    def __init__(self, seconds: float | None) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise DatabaseUnavailableError(
                "Postgres does not answer (timed out); check that it runs and that the database URL is right."
            ) from expired


class _Opener:
    """Opens connections by one URL, with the session's settings that all have and those of this caller."""

    def __init__(self, url: str, application_name: str, seconds: float, session: Session) -> None:
        self._hosts = DatabaseHosts(url)
        self._seconds = seconds
        self._settings = {"application_name": application_name, "timezone": "UTC", "jit": "off", **session}

    async def open(self, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        return await self._hosts.connect(self._seconds, server_settings=self._settings, **options)

    async def open_for_pool(
        self,
        dsn: str | None = None,  # noqa: ARG002 - the pool names one; the hosts know the URL
        **options: Any,
    ) -> "asyncpg.Connection[asyncpg.Record]":
        return await self.open(**options)


@asynccontextmanager
async def _open_connection(opener: _Opener, options: Mapping[str, Any]) -> AsyncIterator[Connection]:
    try:
        driver = await opener.open(**options)
    except Exception as error:
        _raise_ours(error)
        raise
    connection = Connection(driver)
    try:
        yield connection
    finally:
        connection.mark_returned()
        await _close(driver)


async def _close(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Close within a second; a server that no longer answers is not waited for."""
    try:
        await driver.close(timeout=_CLOSE_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        driver.terminate()
    except asyncio.CancelledError:
        driver.terminate()
        raise


def _raise_ours(error: Exception) -> None:
    """Raise what the failure to open a connection means to a user; return where it is a programmer's mistake."""
    ours = translate_opening(error)
    if ours is not None:
        raise ours from error


async def _leave_as_it_is(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Keep a returned connection's session: no work changes it, and to reset it would cost as much as a query."""
