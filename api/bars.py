"""Bars of any interval from the record, as columns: Postgres writes the exact numbers, and few large values travel.

One row with a text a column is decoded in a fifth of the time of a thousand rows of nine values.
Opens, highs and so on are comma-joined decimal texts without trailing zeros: JSON as they are, and floats when parsed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

import numpy as np
import orjson
from asyncpg import Record

from api.arrays import Instants, read_instants, read_integers
from api.intervals import Interval
from shared.database.driver import Connection
from shared.rolling import Floats, Integers

Direction = Literal["ASC", "DESC"]

NUMBERS: Final = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_base_volume",
)
# Those that are read only where a feature needs them.
RANGES: Final = frozenset(("open", "high", "low"))
AMOUNTS: Final = frozenset(("volume", "quote_volume", "trades", "taker_base_volume"))
# Features that are decimals by nature: a page has them as Postgres computes them, exactly.
EXACT: Final = frozenset(("price_range",))


_NONE: Final[Instants] = np.empty(0, "datetime64[us]")


class BarRange(NamedTuple):
    """The bars that open in [start, end), both on the interval's grid."""

    symbol: str
    interval: Interval
    start: datetime
    end: datetime


@dataclass(frozen=True)
class BarColumns:
    """Bars in the order of time: `numbers` by name of NUMBERS (or on a page of EXACT), those that were asked for."""

    opened_at: Instants
    numbers: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.opened_at)

    def floats(self, name: str) -> Floats:
        """Return a number column for arithmetic; NaN throughout where it was not asked for."""
        text = self.numbers.get(name)
        if text is None:
            return np.full(len(self), np.nan)
        return np.array(orjson.loads(f"[{text}]"), dtype=np.float64)


@dataclass(frozen=True)
class BarPage(BarColumns):
    """A page; `counts` says how many minutes each bar was made from (None: one), `has_more` whether others follow."""

    counts: Integers | None = None
    created_at: Instants = field(default_factory=lambda: _NONE)
    sources: str | list[str] = ""
    has_more: bool = False


async def select_page(  # noqa: PLR0913 - which bars, how many, from which side, and what of them
    connection: Connection, bars: BarRange, limit: int, direction: Direction, *, with_amounts: bool, with_exact: bool
) -> BarPage:
    """Read at most `limit` bars, from the range's start or (DESC) back from its end."""
    statement = _PAGE_STATEMENTS[bars.interval.name, direction]
    row = await connection.fetchrow(
        statement, bars.symbol, bars.start, bars.end, limit, bars.interval.length, with_amounts, with_exact
    )
    if row is None or row["at"] is None:
        return BarPage(_NONE)
    newest, oldest = row["newest_source"], row["oldest_source"]
    return BarPage(
        opened_at=read_instants(row["at"]),
        numbers=_numbers(row, (*NUMBERS, *EXACT)),
        counts=None if row["counts"] is None else read_integers(row["counts"]),
        created_at=read_instants(row["created_at"]),
        sources=newest if newest == oldest else row["sources"],
        has_more=row["has_more"],
    )


async def select_window(connection: Connection, bars: BarRange, *, with_ranges: bool, with_amounts: bool) -> BarColumns:
    """Read all bars of a range: closes, and further numbers where they are asked for."""
    statement = _WINDOW_STATEMENTS[bars.interval.name]
    limit = (bars.end - bars.start) // bars.interval.length
    row = await connection.fetchrow(
        statement, bars.symbol, bars.start, bars.end, limit, bars.interval.length, with_ranges, with_amounts
    )
    return (
        BarColumns(_NONE)
        if row is None or row["at"] is None
        else BarColumns(read_instants(row["at"]), _numbers(row, NUMBERS))
    )


def _numbers(row: Record, names: Iterable[str]) -> dict[str, str]:
    return {name: row[name] for name in names if row[name] is not None}


# The statements are put together once, here, from these literals; values come as parameters only:
# $1 symbol, $2 start, $3 end, $4 limit, $5 the interval.

_FROM_TICKS = """
        SELECT minute AS at, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
               source, created_at
        FROM ticks
        WHERE symbol = $1
          AND minute >= $2
          AND minute < $3
          AND $5::interval IS NOT NULL
        ORDER BY minute {direction}
        LIMIT $4
"""

_FROM_ROLLUPS = """
        SELECT {column} AS at, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
               source, created_at, count
        FROM {table}
        WHERE symbol = $1
          AND {column} >= $2
          AND {column} < $3
          AND $5::interval IS NOT NULL
        ORDER BY {column} {direction}
        LIMIT $4
"""

# The outer scan walks hours (or days) that have ticks, in order, and the limit ends it: nothing further is read.
_GROUPED = """
        SELECT bar.*
        FROM (
            SELECT {outer_column} AS outer_at
            FROM {outer_table}
            WHERE symbol = $1
              AND {outer_column} >= date_bin('{outer_length}', $2::timestamptz, '2000-01-01Z')
              AND {outer_column} < $3
            ORDER BY {outer_column} {direction}
        ) AS pieces
        CROSS JOIN LATERAL (
            SELECT date_bin($5, {column}, '2000-01-01Z') AS at,
                   (array_agg(open ORDER BY {column}))[1] AS open,
                   max(high) AS high,
                   min(low) AS low,
                   (array_agg(close ORDER BY {column} DESC))[1] AS close,
                   sum(volume) AS volume,
                   sum(quote_volume) AS quote_volume,
                   sum(trades) AS trades,
                   sum(taker_base_volume) AS taker_base_volume,
                   CASE WHEN min(source) = max(source) THEN min(source) ELSE 'mixed' END AS source,
                   max(created_at) AS created_at,
                   {count} AS count
            FROM {table}
            WHERE symbol = $1
              AND {column} >= outer_at
              AND {column} < outer_at + interval '{outer_length}'
            GROUP BY 1
        ) AS bar
        WHERE at >= $2
          AND at < $3
        ORDER BY outer_at {direction}, at {direction}
        LIMIT $4
"""

_PAGE = """
    SELECT page.*, {has_more} AS has_more
    FROM (
        SELECT array_send(array_agg(at)) AS at,
               min(at) AS oldest_at,
               max(at) AS newest_at,
               {counts} AS counts,
               string_agg(trim_scale(open)::text, ',') AS open,
               string_agg(trim_scale(high)::text, ',') AS high,
               string_agg(trim_scale(low)::text, ',') AS low,
               string_agg(trim_scale(close)::text, ',') AS close,
               string_agg(trim_scale(volume)::text, ',') AS volume,
               string_agg(CASE WHEN $6 THEN quote_volume::text END, ',') AS quote_volume,
               string_agg(trades::text, ',') AS trades,
               string_agg(CASE WHEN $6 THEN taker_base_volume::text END, ',') AS taker_base_volume,
               string_agg(CASE WHEN $7 THEN trim_scale(high - low)::text END, ',') AS price_range,
               array_send(array_agg(created_at)) AS created_at,
               min(source) AS oldest_source,
               max(source) AS newest_source,
               CASE WHEN min(source) <> max(source) THEN array_agg(source) END AS sources
        FROM ({bars}) AS bars
    ) AS page
"""

_REVERSED = "SELECT * FROM ({bars}) AS newest ORDER BY at"

_HAS_MORE = {
    "ASC": "EXISTS (SELECT FROM ticks WHERE symbol = $1 AND minute >= newest_at + $5 AND minute < $3)",
    "DESC": "EXISTS (SELECT FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < oldest_at)",
}

_WINDOW = """
    SELECT array_send(array_agg(at)) AS at,
           string_agg(CASE WHEN $6 THEN open::text END, ',') AS open,
           string_agg(CASE WHEN $6 THEN high::text END, ',') AS high,
           string_agg(CASE WHEN $6 THEN low::text END, ',') AS low,
           string_agg(close::text, ',') AS close,
           string_agg(CASE WHEN $7 THEN volume::text END, ',') AS volume,
           string_agg(CASE WHEN $7 THEN quote_volume::text END, ',') AS quote_volume,
           string_agg(CASE WHEN $7 THEN trades::text END, ',') AS trades,
           string_agg(CASE WHEN $7 THEN taker_base_volume::text END, ',') AS taker_base_volume
    FROM ({bars}) AS bars
"""


def _bars(interval: str, direction: Direction) -> str:
    if interval == "1m":
        return _FROM_TICKS.format(direction=direction)
    if interval == "1h":
        return _FROM_ROLLUPS.format(table="hourly_rollups", column="hour", direction=direction)
    if interval == "1d":
        return _FROM_ROLLUPS.format(table="daily_rollups", column="day", direction=direction)
    if interval == "4h":
        return _GROUPED.format(
            outer_table="daily_rollups",
            outer_column="day",
            outer_length="24 hours",
            table="hourly_rollups",
            column="hour",
            count="sum(count)",
            direction=direction,
        )
    return _GROUPED.format(
        outer_table="hourly_rollups",
        outer_column="hour",
        outer_length="1 hour",
        table="ticks",
        column="minute",
        count="count(*)",
        direction=direction,
    )


def _page(interval: str, direction: Direction) -> str:
    bars = _bars(interval, direction)
    return _PAGE.format(
        bars=bars if direction == "ASC" else _REVERSED.format(bars=bars),
        counts="NULL::bytea" if interval == "1m" else "array_send(array_agg(count::bigint))",
        has_more=_HAS_MORE[direction],
    )


_NAMES: Final = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
_DIRECTIONS: Final[tuple[Direction, ...]] = ("ASC", "DESC")
_PAGE_STATEMENTS = {(name, direction): _page(name, direction) for name in _NAMES for direction in _DIRECTIONS}
_WINDOW_STATEMENTS = {name: _WINDOW.format(bars=_bars(name, "ASC")) for name in _NAMES}
