"""A row that is no kline and stays so: its minute is not absent, not forgotten, and not asked for all the time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from collector.backfill import WORKERS, Backfill
from collector.counts import Counts
from collector.leadership import acquire_lease
from collector.recorder import Recorder, open_unpacker
from collector.sources.source import Source
from collector.verify import verify
from shared.database.connection import Connection
from shared.database.database import Bounds, connect, open_database
from shared.gaps import Gap, select_gaps
from shared.instant import MINUTE, to_milliseconds
from tests.collecting import collector_setup
from tests.peculiar_exchange import NOW, Peculiar, serving, source_at
from tests.postgres import Database

START, END = NOW - 600 * MINUTE, NOW - 10 * MINUTE
SPOILT = START + 100 * MINUTE
SPOILT_MS = to_milliseconds(SPOILT)


def spoil(rows: list[object]) -> list[object]:
    """Make one minute's row nonsense, wherever it comes."""
    return [[row[0], "NaN", *row[2:]] if isinstance(row, list) and row[0] == SPOILT_MS else row for row in rows]


@asynccontextmanager
async def backfilling(database: Database, source: Source, counts: Counts) -> AsyncIterator[Backfill]:
    """A backfill that leads."""
    async with open_database(database.collector_url, "test", Bounds(3)) as opened:
        epoch = await opened.write(lambda connection: acquire_lease(connection, "test"))
        assert epoch is not None
        with open_unpacker() as unpacker:
            recorder = Recorder(opened, source, epoch, counts, unpacker)
            yield Backfill("BTCUSDT", recorder, asyncio.Event(), asyncio.Semaphore(WORKERS))


async def gaps(connection: Connection) -> list[Gap]:
    return await select_gaps(connection, "BTCUSDT", START, END)


async def test_refused_row_s_minute_is_ours_to_fetch_and_asked_for_ever_more_rarely(database: Database) -> None:
    """It counts once however often it comes, and is had as soon as the exchange mends it."""
    counts = Counts()
    peculiar = Peculiar(spoil=spoil)
    async with (
        source_at(peculiar) as source,
        backfilling(database, source, counts) as backfill,
        connect(database.owner_url, "test") as owner,
    ):
        await backfill.fill(START, END, ask_again=True)
        assert await gaps(owner) == [Gap(SPOILT, SPOILT + MINUTE, "not_collected")]
        asked = len(peculiar.asked)
        assert await backfill.fill(START, END, ask_again=True) == 0
        assert len(peculiar.asked) == asked
        pauses = []
        for _ in range(3):
            await owner.execute("UPDATE absences SET ask_again_at = '-infinity'")
            await backfill.fill(START, END, ask_again=True)
            pauses.append(await owner.fetchval("SELECT ask_again_at - asked_at FROM absences"))
        assert pauses == [timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=8)]
        assert counts.refused.total() == 1
        peculiar.spoil = list
        await owner.execute("UPDATE absences SET ask_again_at = '-infinity'")
        await backfill.fill(START, END, ask_again=True)
        assert await gaps(owner) == []
        assert await owner.fetchval("SELECT count(*) FROM absences") == 0


@pytest.mark.parametrize("cap", [50, 1000])
async def test_verify_says_which_rows_make_no_sense(database: Database, cap: int) -> None:
    """They are neither equal nor taken for absent."""
    peculiar = Peculiar(cap)
    async with source_at(peculiar) as source, backfilling(database, source, Counts()) as backfill:
        await backfill.fill(START, END, ask_again=True)
    peculiar.spoil = spoil
    async with serving(peculiar) as url:
        setup = collector_setup(database, url)
        (found,) = await verify(setup.collector, setup.sources, START.isoformat(), END.isoformat())
    assert (found.refused, found.different, found.equal) == (1, 1, (END - START) // MINUTE - 1)
    (difference,) = found.differences
    assert "and the exchange's row for it makes no sense: " in difference
