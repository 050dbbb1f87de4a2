"""A collector inside a test, and the record that it makes held against the simulated exchange's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from collector.settings import CollectorSettings
from collector.sources.binance import SourceSettings as BinanceSettings
from collector.sources.registry import open_sources
from collector.worker import Worker
from shared.database.connection import DriverConnection
from shared.instant import MINUTE, from_milliseconds, to_milliseconds
from shared.settings import Settings
from shared.symbols import BINANCE
from simulator.server import Simulator
from tests.postgres import AnyConnection, Database

Values = tuple[Any, ...]

COLUMNS = (
    "minute, open::text, high::text, low::text, close::text, volume::text, quote_volume::text, trades, "
    "taker_base_volume::text, taker_quote_volume::text"
)


@dataclass(frozen=True)
class Setup:
    """The settings that a collector is run with: its own and each source's."""

    collector: CollectorSettings
    sources: dict[str, Settings]

    def change(self, **changes: object) -> "Setup":
        """The same with other settings, the collector's or Binance's."""
        binance = self.sources[BINANCE].model_copy(update=_of(BinanceSettings, changes))
        return Setup(
            self.collector.model_copy(update=_of(CollectorSettings, changes)), self.sources | {BINANCE: binance}
        )


def _of(kind: type[Settings], values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name in kind.model_fields}


def collector_setup(database: Database, url: str, **overrides: object) -> Setup:
    """Settings of a collector that asks one simulated exchange in every way."""
    values: dict[str, object] = {
        "database_url": database.collector_url,
        "rest_urls": (url,),
        "stream_url": url.replace("http://", "ws://"),
        "archive_url": url,
        "backfill_since": "2h",
        "source": "simulated",
    }
    values |= overrides
    return Setup(
        CollectorSettings.load(**_of(CollectorSettings, values)),
        {BINANCE: BinanceSettings.load(**_of(BinanceSettings, values))},
    )


@asynccontextmanager
async def collecting(setup: Setup) -> AsyncIterator[Worker]:
    """Run a collector in this process as long as the block runs; what it raises is raised."""
    stop = asyncio.Event()
    async with open_sources(setup.sources, stop) as sources:
        worker = Worker(setup.collector, sources, stop)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run(worker.collect))
            try:
                yield worker
            finally:
                stop.set()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[DriverConnection]:
    """A plain connection of the driver."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=2)


async def eventually(condition: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    """Wait until a condition that has to be awaited holds; raises TimeoutError if it does not come to."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def stored(connection: AnyConnection, symbol: str, start: datetime, end: datetime) -> list[Values]:
    """What is stored of [start, end), decimals as text."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3 ORDER BY minute",
        symbol,
        start,
        end,
    )
    return [tuple(row) for row in rows]


async def count(connection: AnyConnection, symbol: str, start: datetime, end: datetime) -> int:
    """How many minutes of [start, end) are stored."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3", symbol, start, end
    )
    return found


def final_rows(simulator: Simulator, symbol: str, start: datetime, end: datetime) -> list[Values]:
    """What the exchange finally has of [start, end), in the same form; its holes are left out."""
    rows: list[Values] = []
    for page in simulator.market.published(symbol, to_milliseconds(start), to_milliseconds(end)):
        columns = page.day.columns.take(page.indices).to_pydict()
        columns["open_time"] = map(from_milliseconds, columns["open_time"])
        del columns["close_time"]
        rows += zip(*columns.values(), strict=True)
    return rows


def final_count(simulator: Simulator, symbol: str, start: datetime, end: datetime) -> int:
    """How many minutes of [start, end) the exchange finally has."""
    pages = simulator.market.published(symbol, to_milliseconds(start), to_milliseconds(end))
    return sum(len(page.indices) for page in pages)


def minutes_between(start: datetime, end: datetime) -> int:
    """How many minutes [start, end) has."""
    return (end - start) // MINUTE


_SUMS = """
           sum(volume),
           CASE WHEN bool_and(quote_volume IS NOT NULL) THEN sum(quote_volume) END,
           CASE WHEN bool_and(trades IS NOT NULL) THEN sum(trades)::bigint END,
           CASE WHEN bool_and(taker_base_volume IS NOT NULL) THEN sum(taker_base_volume) END,
           CASE WHEN bool_and(taker_quote_volume IS NOT NULL) THEN sum(taker_quote_volume) END
"""
# What the rollups must be, computed from the ticks in another way than the database's own function does.
_HOURS = f"""
    SELECT symbol, date_trunc('hour', minute) AS hour, count(*)::smallint,
           sum(1::bigint << extract(minute FROM minute)::integer)::bigint,
           (array_agg(open ORDER BY minute))[1], max(high), min(low), (array_agg(close ORDER BY minute DESC))[1],
           {_SUMS},
           string_agg(float8send(close::float8), ''::bytea ORDER BY minute),
           CASE WHEN count(DISTINCT source) = 1 THEN min(source) ELSE 'mixed' END, max(created_at)
    FROM ticks
    GROUP BY 1, 2
"""
_STORED_HOURS = """
    SELECT symbol, hour, count, minutes, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
           taker_quote_volume, closes, source, created_at
    FROM hourly_rollups
"""
_DAYS = """
    SELECT symbol, date_trunc('day', minute) AS day, count(*)::smallint, (array_agg(open ORDER BY minute))[1],
           max(high), min(low), (array_agg(close ORDER BY minute DESC))[1], sum(volume), sum(quote_volume),
           sum(trades)::bigint, sum(taker_base_volume), sum(taker_quote_volume),
           CASE WHEN count(DISTINCT source) = 1 THEN min(source) ELSE 'mixed' END, max(created_at)
    FROM ticks
    GROUP BY 1, 2
"""
_STORED_DAYS = """
    SELECT symbol, day, count, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
           taker_quote_volume, source, created_at
    FROM daily_rollups
"""


async def rollup_differences(connection: AnyConnection) -> int:
    """How many hours and days of the rollups are not what their ticks make."""
    differences = 0
    # One snapshot for both sides, so that it can be asked beside a collector at work.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL timezone = 'UTC'")
        for computed, kept in ((_HOURS, _STORED_HOURS), (_DAYS, _STORED_DAYS)):
            differences += await connection.fetchval(
                f"SELECT count(*) FROM (({computed} EXCEPT {kept}) UNION ALL ({kept} EXCEPT {computed})) AS difference"
            )
    return differences
