"""The record as the models read it: the bars of a range, and the newest minute with how its prices are written."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from shared.bars import Bars
from shared.database.connection import Connection
from shared.gaps import select_gaps, select_record_range
from shared.instant import DAY, MINUTE, MINUTE_MS, from_milliseconds
from shared.rolling import Floats, Integers

# Postgres counts microseconds from 2000.
_EPOCH_2000_MS = 946_684_800_000
# A year in one statement would be held by the server at once, and take longer than a statement may.
_STEP = 60 * DAY
# What counts for whether the record is filled: the last year, but not minutes so new that they are being collected.
_RECENT = timedelta(days=365)
_LIVE = 15 * MINUTE
_SHARE_FILLED = 0.99
_COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume")


class Newest(NamedTuple):
    """The newest minute of the record, and the exchange's time."""

    made_at: datetime | None
    """Its close, which is when a forecast from it is made; None where there is no minute."""
    now: datetime


class Base(NamedTuple):
    """The price that forecasts start from, and with how many decimals the symbol's prices are written."""

    price: Decimal
    decimals: int


async def select_newest(connection: Connection, symbol: str) -> Newest:
    """Read when the newest stored minute closed, and the exchange's time."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT max(minute) FROM ticks WHERE symbol = $1) AS minute, exchange_now($1) AS now
        """,
        symbol,
    )
    assert row is not None  # noqa: S101 - a statement without FROM has one row
    return Newest(row["minute"] + MINUTE if row["minute"] else None, row["now"])


async def select_base(connection: Connection, symbol: str, made_at: datetime) -> Base | None:
    """Read the close at `made_at`; None where its minute is not there.

    How many decimals the exchange writes is seen from a day's prices: a single one may end in zeros by chance.
    """
    row = await connection.fetchrow(
        """
        SELECT (SELECT trim_scale(close) FROM ticks WHERE symbol = $1 AND minute = $3) AS price,
               max(scale(trim_scale(close))) AS decimals
        FROM ticks
        WHERE symbol = $1
          AND minute > $2
          AND minute <= $3
        """,
        symbol,
        made_at - DAY,
        made_at - MINUTE,
    )
    return None if row is None or row["price"] is None else Base(row["price"], row["decimals"])


async def select_bars(connection: Connection, symbol: str, start: datetime, end: datetime) -> Bars:
    """Read the minutes of [start, end); to be called in a transaction that sees one state where a range is long."""
    pieces: list[_Piece] = []
    while start < end or not pieces:
        pieces.append(await _select_piece(connection, symbol, start, min(start + _STEP, end)))
        start += _STEP
    opened = np.concatenate([piece.opened for piece in pieces])
    columns = (np.concatenate([piece.columns[index] for piece in pieces]) for index in range(len(_COLUMNS)))
    open_, high, low, close, volume, quote_volume, trades, taker_base_volume = columns
    return Bars(opened, MINUTE_MS, open_, high, low, close, volume, quote_volume, trades, taker_base_volume)


async def select_is_filled(connection: Connection, symbol: str) -> bool:
    """Whether nearly all of the record's last year is there that the exchange has, the newest minutes aside."""
    record = await select_record_range(connection, symbol)
    if record is None:
        return False
    start, end = max(record.start, record.end - _RECENT), record.end - _LIVE
    if start >= end:
        return False
    gaps = await select_gaps(connection, symbol, start, end)
    ours = sum(gap.minutes for gap in gaps if gap.cause == "not_collected")
    return ours <= (1 - _SHARE_FILLED) * ((end - start) / MINUTE)


def find_made_at(bars: Bars) -> datetime:
    """Return the close of the last bar; there must be one."""
    return from_milliseconds(int(bars.open_time[-1]) + bars.interval_ms)


class _Piece(NamedTuple):
    """Opens in ms, and the columns in the order of _COLUMNS."""

    opened: Integers
    columns: list[Floats]


async def _select_piece(connection: Connection, symbol: str, start: datetime, end: datetime) -> _Piece:
    # A value a column, in the form that numbers travel in: a tenth of the time of a row a minute. An aggregate skips
    # nulls, which would move the values behind them; what a source does not tell travels as NaN.
    row = await connection.fetchrow(
        """
        SELECT coalesce(string_agg(timestamptz_send(minute), ''::bytea), '') AS opened,
               coalesce(string_agg(float8send(open::float8), ''::bytea), '') AS open,
               coalesce(string_agg(float8send(high::float8), ''::bytea), '') AS high,
               coalesce(string_agg(float8send(low::float8), ''::bytea), '') AS low,
               coalesce(string_agg(float8send(close::float8), ''::bytea), '') AS close,
               coalesce(string_agg(float8send(volume::float8), ''::bytea), '') AS volume,
               coalesce(string_agg(float8send(coalesce(quote_volume::float8, 'NaN')), ''::bytea), '') AS quote_volume,
               coalesce(string_agg(float8send(coalesce(trades::float8, 'NaN')), ''::bytea), '') AS trades,
               coalesce(string_agg(float8send(coalesce(taker_base_volume::float8, 'NaN')), ''::bytea), '')
                   AS taker_base_volume
        FROM (
            SELECT minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume
            FROM ticks
            WHERE symbol = $1
              AND minute >= $2
              AND minute < $3
            ORDER BY minute
        ) AS tick
        """,
        symbol,
        start,
        end,
    )
    assert row is not None  # noqa: S101 - an aggregate has one row
    microseconds = np.frombuffer(row["opened"], ">i8").astype(np.int64)
    columns = [np.frombuffer(row[name], ">f8").astype(np.float64) for name in _COLUMNS]
    return _Piece(microseconds // 1000 + _EPOCH_2000_MS, columns)
