"""`/price/history` written plainly: SQLAlchemy's ORM, pydantic rows, FastAPI's response model, the same features.

It answers one-minute rows in ascending order with the default features and the gaps of the page. Numbers are floats,
where ours are exact. It is served as our API is: uvloop, httptools, no access log, one process.
"""

import argparse
import math
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import uvicorn
from fastapi import FastAPI, Query
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime

from shared.bars import Bars
from shared.feature_table import DEFAULT_FEATURES
from shared.features import compute, warm_up_bars

MINUTE = timedelta(minutes=1)


class Base(DeclarativeBase):
    """The mapped classes' registry."""

    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own way


class Tick(Base):
    """A closed minute."""

    __tablename__ = "ticks"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    open: Mapped[Decimal]
    high: Mapped[Decimal]
    low: Mapped[Decimal]
    close: Mapped[Decimal]
    volume: Mapped[Decimal]
    quote_volume: Mapped[Decimal]
    trades: Mapped[int]
    taker_base_volume: Mapped[Decimal]
    source: Mapped[str]
    created_at: Mapped[datetime]


class Absence(Base):
    """A run of minutes that the exchange does not have."""

    __tablename__ = "absences"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    start_minute: Mapped[datetime] = mapped_column(primary_key=True)
    end_minute: Mapped[datetime]


class Row(BaseModel):
    """A minute with the default features."""

    timestamp: datetime
    price: float
    open: float
    high: float
    low: float
    volume: float
    trades: int
    source: str
    created_at: datetime
    return_1: float | None
    return_5: float | None
    return_15: float | None
    return_60: float | None
    sma_15: float | None
    sma_60: float | None
    ema_15: float | None
    volatility_60: float | None
    rsi_14: float | None
    price_range: float | None
    hour: int
    day_of_week: int


class Gap(BaseModel):
    """A run of missing minutes."""

    start: datetime
    end: datetime
    cause: str


class History(BaseModel):
    """A page of rows with the gaps in it."""

    symbol: str
    start: datetime
    end: datetime
    interval: str
    count: int
    data: list[Row]
    next_cursor: str | None
    gaps: list[Gap]


def make_app(database_url: str) -> FastAPI:
    """Return the application."""
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=8)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/price/history")
    async def read_history(
        start: datetime, limit: int = Query(100, ge=1, le=10_000), symbol: str = "BTCUSDT"
    ) -> History:
        async with sessions() as session:
            window = await session.scalars(
                select(Tick)
                .where(Tick.symbol == symbol, Tick.minute < start)
                .where(Tick.minute >= start - warm_up_bars(DEFAULT_FEATURES) * MINUTE)
                .order_by(Tick.minute)
            )
            before = window.all()
            page = await session.scalars(
                select(Tick).where(Tick.symbol == symbol, Tick.minute >= start).order_by(Tick.minute).limit(limit + 1)
            )
            found = page.all()
            ticks, more = found[:limit], found[limit:]
            end = ticks[-1].minute + MINUTE if ticks else start
            absences = await session.scalars(
                select(Absence).where(Absence.symbol == symbol, Absence.start_minute < end, Absence.end_minute > start)
            )
            gaps = find_gaps(start, ticks, absences.all())
        return History(
            symbol=symbol,
            start=start,
            end=end,
            interval="1m",
            count=len(ticks),
            data=make_rows(before, ticks),
            next_cursor=more[0].minute.isoformat() if more else None,
            gaps=gaps,
        )

    return app


def make_rows(before: Sequence[Tick], ticks: Sequence[Tick]) -> list[Row]:
    """Compute the features, and return the rows of `ticks`; `before` are the ticks that warm the features up."""
    every = [*before, *ticks]
    bars = Bars(
        open_time=np.array([int(tick.minute.timestamp() * 1000) for tick in every], dtype=np.int64),
        interval_ms=60_000,
        open=np.array([float(tick.open) for tick in every]),
        high=np.array([float(tick.high) for tick in every]),
        low=np.array([float(tick.low) for tick in every]),
        close=np.array([float(tick.close) for tick in every]),
        volume=np.array([float(tick.volume) for tick in every]),
        quote_volume=np.array([float(tick.quote_volume) for tick in every]),
        trades=np.array([float(tick.trades) for tick in every]),
        taker_base_volume=np.array([float(tick.taker_base_volume) for tick in every]),
    )
    columns = {name: values.tolist() for name, values in compute(bars, DEFAULT_FEATURES).items()}
    rows = []
    for index, tick in enumerate(ticks, start=len(before)):
        features = {name: None if math.isnan(column[index]) else column[index] for name, column in columns.items()}
        rows.append(
            Row(
                timestamp=tick.minute,
                price=float(tick.close),
                open=float(tick.open),
                high=float(tick.high),
                low=float(tick.low),
                volume=float(tick.volume),
                trades=tick.trades,
                source=tick.source,
                created_at=tick.created_at,
                **features,  # type: ignore[arg-type] # hour and day_of_week are integers in their arrays
            )
        )
    return rows


def find_gaps(start: datetime, ticks: Sequence[Tick], absences: Sequence[Absence]) -> list[Gap]:
    """Return the runs of minutes that a page lacks."""
    gaps = []
    expected = start
    for tick in ticks:
        if tick.minute > expected:
            absent = any(each.start_minute <= expected and each.end_minute >= tick.minute for each in absences)
            cause = "source_absent" if absent else "not_collected"
            gaps.append(Gap(start=expected, end=tick.minute, cause=cause))
        expected = tick.minute + MINUTE
    return gaps


def serve(database_url: str) -> None:
    """Serve on a free port, and print its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f'{{"event": "peer_listening", "url": "http://127.0.0.1:{listener.getsockname()[1]}"}}', flush=True)
        config = uvicorn.Config(
            make_app(database_url), loop="uvloop", http="httptools", ws="none", access_log=False, log_config=None
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database_url")
    serve(parser.parse_args().database_url)
