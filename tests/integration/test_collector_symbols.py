"""From when to when each symbol's record is meant to be whole."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from collector.symbols import (
    NO_POSITION,
    update_given_up_symbols,
    update_since,
    upsert_backfilled_symbol,
    upsert_collected_symbol,
)
from shared.database.connection import Connection
from shared.database.database import connect
from tests.postgres import Database

EARLY, MIDDLE, LATE = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3))


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """The collector's."""
    async with connect(database.collector_url, "test") as opened:
        yield opened


async def kept(connection: Connection, symbol: str = "BTCUSDT") -> tuple[int, datetime, datetime | None]:
    row = await connection.fetchrow("SELECT position, since, until FROM collected_symbols WHERE symbol = $1", symbol)
    assert row is not None
    return tuple(row)


async def test_record_never_shrinks(connection: Connection) -> None:
    """A later beginning in the settings leaves it as it is."""
    assert await upsert_collected_symbol(connection, "BTCUSDT", 0, MIDDLE) == MIDDLE
    assert await upsert_collected_symbol(connection, "BTCUSDT", 1, LATE) == MIDDLE
    assert await upsert_collected_symbol(connection, "BTCUSDT", 1, EARLY) == EARLY
    assert await kept(connection) == (1, EARLY, None)


async def test_symbol_without_a_minute_that_is_given_up_misses_none(connection: Connection) -> None:
    """Its record ends where it began; one that goes on is left alone."""
    await upsert_collected_symbol(connection, "BTCUSDT", 0, MIDDLE)
    await upsert_collected_symbol(connection, "ETHUSDT", 1, MIDDLE)
    await update_given_up_symbols(connection, ["BTCUSDT"])
    assert await kept(connection) == (0, MIDDLE, None)
    assert await kept(connection, "ETHUSDT") == (NO_POSITION, MIDDLE, MIDDLE)


async def test_symbol_that_was_only_backfilled_does_not_go_on(connection: Connection) -> None:
    """Its record reaches as far as was asked for, further with each call, and from a collector's start on."""
    await upsert_backfilled_symbol(connection, "BTCUSDT", MIDDLE, LATE)
    assert await kept(connection) == (NO_POSITION, MIDDLE, LATE)
    await upsert_backfilled_symbol(connection, "BTCUSDT", EARLY, MIDDLE)
    assert await kept(connection) == (NO_POSITION, EARLY, LATE)
    await update_given_up_symbols(connection, [])
    assert await kept(connection) == (NO_POSITION, EARLY, LATE)
    await upsert_collected_symbol(connection, "BTCUSDT", 0, LATE)
    assert await kept(connection) == (0, EARLY, None)


async def test_backfill_of_a_collected_symbol_does_not_end_its_record(connection: Connection) -> None:
    """The collector may merely be stopped for now."""
    await upsert_collected_symbol(connection, "BTCUSDT", 0, MIDDLE)
    await upsert_backfilled_symbol(connection, "BTCUSDT", EARLY, MIDDLE)
    assert await kept(connection) == (0, EARLY, None)


async def test_only_a_symbol_that_is_collected_can_be_left_to_who_leads(connection: Connection) -> None:
    """Nobody would fill another's."""
    assert not await update_since(connection, "BTCUSDT", EARLY)
    await upsert_backfilled_symbol(connection, "BTCUSDT", MIDDLE, LATE)
    assert not await update_since(connection, "BTCUSDT", EARLY)
    await upsert_collected_symbol(connection, "BTCUSDT", 0, MIDDLE)
    assert await update_since(connection, "BTCUSDT", EARLY)
    assert await kept(connection) == (0, EARLY, None)
