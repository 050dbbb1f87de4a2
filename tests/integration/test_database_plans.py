"""What statements read of a long record when Postgres plans them knowing neither their parameters nor the tables."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from api.statistics.queries import select_statistics
from shared.database.connection import Connection
from shared.database.database import connect
from shared.gaps import select_missing
from shared.instant import DAY, MINUTE
from tests.postgres import Database

SYMBOL = "BTCUSDT"
DAYS = 1_000
START = datetime(2023, 1, 1, tzinfo=UTC)
END = START + DAYS * DAY


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """A record of rollups alone, whole but for one minute in one of its days, and only generic plans."""
    async with connect(database.owner_url, "filler") as connection:
        await connection.execute(
            """
            INSERT INTO hourly_rollups
            SELECT $1, hour, 60, (1::bigint << 60) - 1, 1, 3, 1, 2, 1, 1, 1, 1, 1, ''::bytea, 'test', now()
            FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
            """,
            SYMBOL,
            START,
            END,
        )
        await connection.execute(
            """
            INSERT INTO daily_rollups
            SELECT symbol, date_bin('1 day', hour, '2000-01-01Z'), sum(count), 1, 3, 1, 2, 1, 1, 1, 1, 1, 'test', now()
            FROM hourly_rollups
            GROUP BY symbol, date_bin('1 day', hour, '2000-01-01Z')
            """
        )
        hole = START + 500 * DAY + timedelta(hours=7)
        await connection.execute(
            "UPDATE hourly_rollups SET count = 59, minutes = minutes - 1, low = 0.5 WHERE hour = $1", hole
        )
        await connection.execute(
            "UPDATE daily_rollups SET count = 1439, low = 0.5 WHERE day = $1", hole - timedelta(hours=7)
        )
    # Of its own, because what it has read is counted.
    async with (
        connect(database.owner_url, "test", plan_cache_mode="force_generic_plan") as connection,
        # The counts are kept for as long as it is open.
        connection.transaction(),
    ):
        yield connection


async def read_rows(connection: Connection, table: str) -> int:
    """How many rows of a table this connection has read so far."""
    count: int = await connection.fetchval(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = $1", table
    )
    return count


async def test_missing_minutes_are_looked_for_in_incomplete_days_alone(connection: Connection) -> None:
    """A thousand days are a thousand rows, and the hours of one."""
    [run] = await select_missing(connection, SYMBOL, START, END)
    assert (run.start, run.end) == (
        START + 500 * DAY + timedelta(hours=7),
        START + 500 * DAY + timedelta(hours=7, minutes=1),
    )
    assert await read_rows(connection, "daily_rollups") == DAYS
    assert await read_rows(connection, "hourly_rollups") == 24


async def test_statistics_read_each_hour_once_and_look_for_extremes_in_the_days_that_have_them(
    connection: Connection,
) -> None:
    """The closes of every hour, and of the other columns the days and the edges."""
    start, end = START + 490 * DAY + 90 * MINUTE, START + 510 * DAY - 90 * MINUTE
    totals, _ = await select_statistics(connection, SYMBOL, start, end)
    assert totals["min"] == "0.5"
    edges = 22 + 22
    hours = (end - start) // timedelta(hours=1)
    # Every day reaches the highest price, so that the extremes are looked for in all of them.
    assert hours < await read_rows(connection, "hourly_rollups") <= hours + edges + 18 * 24 + edges
    assert await read_rows(connection, "daily_rollups") <= 18 + 18
    assert await read_rows(connection, "ticks") == 0
