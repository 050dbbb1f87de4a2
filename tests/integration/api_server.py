"""The API over real HTTP inside the test's own event loop, and a record to serve."""

import asyncio
import contextlib
import functools
import random
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import uvicorn
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from shared.database.connection import DriverConnection
from shared.instant import MINUTE

SYMBOL = "BTCUSDT"
START = datetime(2024, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Tick:
    """A minute as the tests think of it."""

    minute: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    source: str = "binance"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to pytest."""
        yield


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve that database on a free port, and yield a client of it."""
    settings = ApiSettings(database_url=SecretStr(database_url), _env_file=None)  # type: ignore[call-arg] # pydantic's
    # asyncio knows by the protocol's number that it may send small parts at once, without which an answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    app = create_app(settings)
    app.openapi_schema = _openapi()
    config = uvicorn.Config(app, ws="none", access_log=False, log_config=None, timeout_graceful_shutdown=2)
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]), name="uvicorn")
        host, port = listener.getsockname()
        try:
            async with asyncio.timeout(10):
                while not server.started:
                    await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=15) as client:
                yield client
        finally:
            server.should_exit = True


@functools.cache
def _openapi() -> dict[str, Any]:
    """What every server describes itself with, made once: it depends on no setting, and takes a quarter of a second."""
    nowhere = ApiSettings(database_url=SecretStr("postgresql://127.0.0.1:9/none"), _env_file=None)  # type: ignore[call-arg] # pydantic's
    return create_app(nowhere).openapi()


def make_ticks(
    count: int, *, start: datetime = START, seed: int = 1, missing: Iterable[int] = (), flat: bool = False
) -> list[Tick]:
    """A random walk of `count` minutes in steps of a cent; the offsets in `missing` are left out."""
    draw = random.Random(seed)
    left_out = set(missing)
    close = Decimal("50000.00")
    ticks = []
    for offset in range(count):
        opened = close
        if not flat:
            close = max(Decimal(1), close + Decimal(draw.randint(-2_000, 2_000)) / 100)
        spread = Decimal(0) if flat else Decimal(draw.randint(0, 500)) / 100
        low = max(Decimal("0.01"), min(opened, close) - spread)
        volume = Decimal(0) if flat else Decimal(draw.randint(0, 10_000_000)) / 100_000
        tick = Tick(
            minute=start + offset * MINUTE,
            open=opened,
            high=max(opened, close) + spread,
            low=low,
            close=close,
            volume=volume,
            quote_volume=volume * (opened + close) / 2,
            trades=0 if flat else draw.randint(1, 5_000),
        )
        if offset not in left_out:
            ticks.append(tick)
    return ticks


async def store(
    owner_url: str,
    ticks: Sequence[Tick],
    *,
    symbol: str = SYMBOL,
    since: datetime | None = None,
    now: datetime | None = None,
    absences: Iterable[tuple[datetime, datetime]] = (),
) -> None:
    """Write a record as the collector would: ticks with their rollups, the ledger, and a heartbeat at `now`.

    By default the record begins with the first tick, and now is the end of the last.
    """
    begin = since or (ticks[0].minute if ticks else START)
    exchange_time = now or (ticks[-1].minute + MINUTE if ticks else START)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(
            """
            INSERT INTO collected_symbols (symbol, position, since)
            VALUES ($1, (SELECT count(*) FROM collected_symbols), $2)
            ON CONFLICT (symbol) DO NOTHING
            """,
            symbol,
            begin,
        )
        await add_ticks(connection, ticks, symbol)
        await connection.executemany(
            "INSERT INTO absences VALUES ($1, $2, $3, $4, $4, 1, $4)",
            [(symbol, first, end, exchange_time) for first, end in absences],
        )
        await beat(connection, exchange_time)
    finally:
        await connection.close()


async def add_ticks(connection: DriverConnection, ticks: Sequence[Tick], symbol: str = SYMBOL) -> None:
    """Store ticks and recompute their rollups."""
    if not ticks:
        return
    created_at = datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
    rows = [
        (
            symbol,
            tick.minute,
            tick.open,
            tick.high,
            tick.low,
            tick.close,
            tick.volume,
            tick.quote_volume,
            tick.trades,
            tick.volume / 2,
            tick.quote_volume / 2,
            tick.source,
            created_at,
            None,
        )
        for tick in ticks
    ]
    async with connection.transaction():
        await connection.copy_records_to_table("ticks", records=rows)
        minutes = [tick.minute for tick in ticks]
        await connection.execute("SELECT refresh_rollups($1, $2, $3)", symbol, min(minutes), max(minutes) + MINUTE)


async def beat(connection: DriverConnection, exchange_time: datetime) -> None:
    """Beat as the collector that leads, and set the exchange's clock."""
    await connection.execute(
        """
        INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader)
        VALUES ('collector', 'test-1', clock_timestamp(), clock_timestamp(), true)
        ON CONFLICT (service, instance) DO UPDATE
        SET beat_at = excluded.beat_at
        """
    )
    await connection.execute(
        """
        INSERT INTO exchange_clocks (source, exchange_time, told_at)
        VALUES ('binance', $1, clock_timestamp())
        ON CONFLICT (source) DO UPDATE
        SET exchange_time = excluded.exchange_time, told_at = excluded.told_at
        """,
        exchange_time,
    )


def with_source(ticks: Iterable[Tick], source: str) -> list[Tick]:
    """The same ticks from elsewhere."""
    return [replace(tick, source=source) for tick in ticks]


def text(instant: datetime) -> str:
    """RFC 3339 with a Z."""
    return instant.isoformat().replace("+00:00", "Z")


def at(offset: int, *, start: datetime = START) -> str:
    """The text of the minute so many after the start."""
    return text(start + timedelta(minutes=offset))
