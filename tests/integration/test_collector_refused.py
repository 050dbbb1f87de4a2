"""A row that is no kline and stays so: its minute is not absent, not forgotten, and not asked for all the time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from collector.backfill import WORKERS, Backfill
from collector.exchange import Exchange
from collector.leadership import acquire
from collector.recorder import Counts, Recorder
from collector.verify import verify
from shared.database.driver import Connection, Pool
from shared.gaps import Gap, select_gaps
from shared.instant import MINUTE, from_milliseconds
from tests.collecting import collector_settings, connected
from tests.klines import MINUTE_MS
from tests.peculiar_exchange import NOW_MS, Peculiar, exchange_at, serving
from tests.postgres import Database

START_MS = NOW_MS - 600 * MINUTE_MS
SPOILT_MS = START_MS + 100 * MINUTE_MS
START, SPOILT, END = (from_milliseconds(ms) for ms in (START_MS, SPOILT_MS, NOW_MS - 10 * MINUTE_MS))


def spoil(rows: list[object]) -> list[object]:
    """Make one minute's row nonsense, wherever it comes."""
    return [[row[0], "NaN", *row[2:]] if isinstance(row, list) and row[0] == SPOILT_MS else row for row in rows]


@asynccontextmanager
async def backfilling(database: Database, exchange: Exchange, counts: Counts) -> AsyncIterator[tuple[Backfill, Pool]]:
    """A backfill that leads, and its connections."""
    async with asyncpg.create_pool(database.collector_url, min_size=1, max_size=3) as pool:
        async with pool.acquire() as connection:
            epoch = await acquire(connection, "test")
        assert epoch is not None
        recorder = Recorder(pool, exchange.clock, "test", epoch, counts)
        yield Backfill("BTCUSDT", exchange, recorder, asyncio.Event(), asyncio.Semaphore(WORKERS)), pool


async def gaps(connection: Connection) -> list[Gap]:
    return await select_gaps(connection, "BTCUSDT", START, END)


async def test_refused_row_s_minute_is_ours_to_fetch_and_asked_for_ever_more_rarely(database: Database) -> None:
    """It counts once however often it comes, and is had as soon as the exchange mends it."""
    counts = Counts()
    peculiar = Peculiar(spoil=spoil)
    async with (
        exchange_at(peculiar) as exchange,
        backfilling(database, exchange, counts) as (backfill, pool),
        connected(database.owner_url) as owner,
    ):
        await backfill.fill(START, END, ask_again=True)
        assert await gaps(owner) == [Gap(SPOILT, SPOILT + MINUTE, "not_collected")]
        asked = len(peculiar.asked)
        assert await backfill.fill(START, END, ask_again=True) == 0
        assert len(peculiar.asked) == asked
        pauses = []
        for _ in range(3):
            await pool.execute("UPDATE absences SET ask_again_at = '-infinity'")
            await backfill.fill(START, END, ask_again=True)
            pauses.append(await owner.fetchval("SELECT ask_again_at - asked_at FROM absences"))
        assert pauses == [timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=8)]
        assert counts.refused.total() == 1
        peculiar.spoil = list
        await pool.execute("UPDATE absences SET ask_again_at = '-infinity'")
        await backfill.fill(START, END, ask_again=True)
        assert await gaps(owner) == []
        assert await owner.fetchval("SELECT count(*) FROM absences") == 0


@pytest.mark.parametrize("cap", [50, 1000])
async def test_verify_says_which_rows_make_no_sense(database: Database, cap: int) -> None:
    """They are neither equal nor taken for absent."""
    peculiar = Peculiar(cap)
    async with exchange_at(peculiar) as exchange, backfilling(database, exchange, Counts()) as (backfill, _):
        await backfill.fill(START, END, ask_again=True)
    peculiar.spoil = spoil
    async with serving(peculiar) as url:
        (found,) = await verify(collector_settings(database, url), START.isoformat(), END.isoformat())
    assert (found.refused, found.different, found.equal) == (1, 1, (END - START) // MINUTE - 1)
    (difference,) = found.differences
    assert "and the exchange's row for it makes no sense: " in difference
