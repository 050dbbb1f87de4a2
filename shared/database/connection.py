"""A connection to Postgres whose methods raise Minutebook's own errors."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.database.failures import translate
from shared.errors import DatabaseError

Record: TypeAlias = asyncpg.Record
Isolation: TypeAlias = Literal["read_committed", "repeatable_read"]
DriverConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"


class Connection:
    """One connection of the driver, lent to a piece of work.

    Each method raises DatabaseUnavailableError when Postgres stops answering, DataRefusedError when it refuses a value,
    and DatabaseOutdatedError when it lacks a table or a right. A mistake in the call, such as a wrong number of
    arguments, passes as the driver's own error: nothing that waits for Postgres would mend it.
    """

    def __init__(self, driver: DriverConnection) -> None:
        self._driver = driver
        self._is_returned = False
        self._is_read_only = False

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        try:
            return self._driver.is_closed()
        except asyncpg.InterfaceError:
            # The pool has taken it back, which it does by itself when it is cut off.
            return True

    async def fetch(self, query: str, *arguments: object, timeout_seconds: float | None = None) -> list[Record]:
        """Return all rows."""
        try:
            return await self._driver.fetch(query, *arguments, timeout=timeout_seconds)
        except Exception as error:
            self._raise_ours(error)
            raise

    async def fetchrow(self, query: str, *arguments: object, timeout_seconds: float | None = None) -> Record | None:
        """Return the first row, None where there is none."""
        try:
            return await self._driver.fetchrow(query, *arguments, timeout=timeout_seconds)
        except Exception as error:
            self._raise_ours(error)
            raise

    async def fetchval(self, query: str, *arguments: object, timeout_seconds: float | None = None) -> Any:
        """Return the first value of the first row, None where there is none."""
        try:
            return await self._driver.fetchval(query, *arguments, timeout=timeout_seconds)
        except Exception as error:
            self._raise_ours(error)
            raise

    async def execute(self, query: str, *arguments: object, timeout_seconds: float | None = None) -> str:
        """Run a statement and return its tag, such as `UPDATE 1`."""
        try:
            return await self._driver.execute(query, *arguments, timeout=timeout_seconds)
        except Exception as error:
            self._raise_ours(error)
            raise

    async def copy_csv(self, table: str, columns: Sequence[str], pieces: Sequence[bytes]) -> None:
        """Copy the lines of a CSV into a table; a line may go on in the next piece."""

        async def source() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        with self._translate_errors():
            await self._driver.copy_to_table(table, source=source(), columns=list(columns), format="csv")

    async def listen(self, channel: str, on_payload: Callable[[str], None]) -> None:
        """Call `on_payload` with what each NOTIFY of the channel carries, as long as the connection is there."""
        with self._translate_errors():
            await self._driver.add_listener(channel, lambda *heard: on_payload(str(heard[3])))

    @asynccontextmanager
    async def transaction(self, *, isolation: Isolation | None = None, readonly: bool = False) -> AsyncIterator[None]:
        """Run the block in a transaction, or within another one in a savepoint, and undo it where the block raises.

        A block that is cancelled ends its connection as well: a server that hangs would keep an orderly end waiting.
        """
        transaction = self._driver.transaction(isolation=isolation, readonly=readonly)
        with self._translate_errors():
            await transaction.start()
        was_read_only, self._is_read_only = self._is_read_only, self._is_read_only or readonly
        try:
            yield
        except Exception:
            try:
                with self._translate_errors():
                    await transaction.rollback()
            except DatabaseError:
                # The block's own error is the useful one. The server undoes a transaction whose connection ends.
                self.terminate()
            raise
        except BaseException:
            self.terminate()
            raise
        finally:
            self._is_read_only = was_read_only
        with self._translate_errors():
            await transaction.commit()

    def terminate(self) -> None:
        """End the connection at once, without a word to the server."""
        if not self.is_closed:
            self._driver.terminate()

    def mark_returned(self) -> None:
        """Note that its work is over: to use it later is a programmer's mistake."""
        self._is_returned = True

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._raise_ours(error)
            raise

    def _raise_ours(self, error: Exception) -> None:
        """Raise what a driver's error means to a user; return where it is a programmer's mistake."""
        is_cut_off = not self._is_returned and self.is_closed
        ours = translate(error, is_cut_off=is_cut_off, is_read_only=self._is_read_only)
        if ours is not None:
            raise ours from error
