"""Bars of any interval from the record, as columns: Postgres writes the exact numbers, and few large values travel.

One row with a text a column is decoded in a fifth of the time of a thousand rows of nine values.
Opens, highs and so on are comma-joined decimal texts without trailing zeros: JSON as they are, and floats when parsed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import orjson

from api.arrays import Instants, read_instants, read_integers
from api.history.fields import BAR_FIELDS, EXACT_FEATURES, NUMBER_COLUMNS
from api.intervals import ONE_DAY, ONE_HOUR, ONE_MINUTE, Interval
from api.kinds import DECIMAL
from api.paging import Direction
from shared.database.connection import Connection, Record
from shared.instant import EPOCH
from shared.rolling import Floats, Integers

NUMBERS: Final = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume")
NO_INSTANTS: Final[Instants] = np.empty(0, "datetime64[us]")

_SHOWN: Final = tuple(column for each in BAR_FIELDS for column in each.columns() if column.name in NUMBER_COLUMNS)


class BarRange(NamedTuple):
    """The bars that open in [start, end), both on the interval's grid."""

    symbol: str
    interval: Interval
    start: datetime
    end: datetime


@dataclass(frozen=True)
class BarColumns:
    """Bars in the order of time: comma-joined `numbers` by name, of NUMBERS and EXACT_FEATURES what was asked for."""

    opened_at: Instants = field(default_factory=lambda: NO_INSTANTS)
    numbers: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.opened_at)

    def floats(self, name: str) -> Floats:
        """Return a number column for arithmetic: NaN for null."""
        return np.array(orjson.loads(f"[{self.numbers[name]}]"), dtype=np.float64)


@dataclass(frozen=True)
class BarPage(BarColumns):
    """A page; `counts` says how many minutes each bar was made from (None: one), `has_more` whether others follow."""

    counts: Integers | None = None
    created_at: Instants = field(default_factory=lambda: NO_INSTANTS)
    sources: str | list[str] = ""
    has_more: bool = False

    @property
    def first_open(self) -> datetime:
        """The open of the oldest bar, of which there must be one."""
        return EPOCH + timedelta(microseconds=int(self.opened_at[0].astype("int64")))

    @property
    def last_open(self) -> datetime:
        """The open of the newest bar, of which there must be one."""
        return EPOCH + timedelta(microseconds=int(self.opened_at[-1].astype("int64")))


async def select_bars(
    connection: Connection, bars: BarRange, limit: int, direction: Direction, further: Iterable[str]
) -> BarPage:
    """Read at most `limit` bars, from the range's start or (DESC) back from its end.

    `further` names what is wanted of NUMBERS and EXACT_FEATURES beside what every row shows.
    """
    names = frozenset(further).difference(NUMBER_COLUMNS.values())
    statement = _make_page_statement(bars.interval, direction, names)
    row = await connection.fetchrow(statement, bars.symbol, bars.start, bars.end, limit)
    if row is None or row["at"] is None:
        return BarPage()
    newest, oldest = row["newest_source"], row["oldest_source"]
    return BarPage(
        opened_at=read_instants(row["at"]),
        numbers=_numbers(row, (*NUMBER_COLUMNS.values(), *names)),
        counts=None if row["counts"] is None else read_integers(row["counts"]),
        created_at=read_instants(row["created_at"]),
        sources=newest if newest == oldest else row["sources"],
        has_more=row["has_more"],
    )


async def select_window(connection: Connection, bars: BarRange, names: Iterable[str]) -> BarColumns:
    """Read all bars of a range, of each the numbers that are named."""
    wanted = frozenset(names)
    limit = (bars.end - bars.start) // bars.interval.length
    statement = _make_window_statement(bars.interval, wanted)
    row = await connection.fetchrow(statement, bars.symbol, bars.start, bars.end, limit)
    if row is None or row["at"] is None:
        return BarColumns()
    return BarColumns(read_instants(row["at"]), _numbers(row, wanted))


def _numbers(row: Record, names: Iterable[str]) -> dict[str, str]:
    return {name: row[name] for name in names}


# The statements are put together from these literals; values come as parameters only:
# $1 symbol, $2 start, $3 end, $4 limit.

# The numbers that a source may not tell: their sum is null unless every part tells its own.
_OPTIONAL: Final = ("quote_volume", "trades", "taker_base_volume")
_OPTIONAL_SUM = "CASE WHEN count({name}) = count(*) THEN sum({name}) END AS {name}"

_STORED = """
        SELECT {column} AS at, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
               source, created_at, {count} AS count
        FROM {table}
        WHERE symbol = $1
          AND {column} >= $2
          AND {column} < $3
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
            SELECT date_bin('{length}', {column}, '2000-01-01Z') AS at,
                   (array_agg(open ORDER BY {column}))[1] AS open,
                   max(high) AS high,
                   min(low) AS low,
                   (array_agg(close ORDER BY {column} DESC))[1] AS close,
                   sum(volume) AS volume,
                   {quote_volume},
                   {trades},
                   {taker_base_volume},
                   CASE WHEN min(source) = max(source) THEN min(source) ELSE 'mixed' END AS source,
                   max(created_at) AS created_at,
                   sum({count}) AS count
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
               {numbers},
               array_send(array_agg(created_at)) AS created_at,
               min(source) AS oldest_source,
               max(source) AS newest_source,
               CASE WHEN min(source) <> max(source) THEN array_agg(source) END AS sources
        FROM ({bars}) AS bars
    ) AS page
"""

_REVERSED = "SELECT * FROM ({bars}) AS newest ORDER BY at"

_HAS_MORE = {
    "ASC": "EXISTS (SELECT FROM ticks WHERE symbol = $1 AND minute >= newest_at + interval '{length}' AND minute < $3)",
    "DESC": "EXISTS (SELECT FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < oldest_at)",
}

_WINDOW = """
    SELECT array_send(array_agg(at)) AS at{numbers}
    FROM ({bars}) AS bars
"""


class _RowsInTime(NamedTuple):
    """How a table's rows lie in time: a row's instant, how many minutes it is made from, and how long its span is."""

    name: str
    column: str
    minutes_sql: str
    interval: Interval


_TABLES: Final = {
    "ticks": _RowsInTime("ticks", "minute", "1", ONE_MINUTE),
    "hourly_rollups": _RowsInTime("hourly_rollups", "hour", "count", ONE_HOUR),
    "daily_rollups": _RowsInTime("daily_rollups", "day", "count", ONE_DAY),
}
# The rows in which those of a table are looked for: there is an hour wherever there is a tick.
_OUTER: Final = {"ticks": _TABLES["hourly_rollups"], "hourly_rollups": _TABLES["daily_rollups"]}


def _make_bars_sql(interval: Interval, direction: Direction) -> str:
    table = _TABLES[interval.table]
    if interval.length == table.interval.length:
        return _STORED.format(table=table.name, column=table.column, count=table.minutes_sql, direction=direction)
    outer = _OUTER[interval.table]
    return _GROUPED.format(
        table=table.name,
        column=table.column,
        count=table.minutes_sql,
        outer_table=outer.name,
        outer_column=outer.column,
        outer_length=_write_literal(outer.interval.length),
        length=_write_literal(interval.length),
        direction=direction,
        **{name: _OPTIONAL_SUM.format(name=name) for name in _OPTIONAL},
    )


@cache
def _make_page_statement(interval: Interval, direction: Direction, further: frozenset[str]) -> str:
    bars = _make_bars_sql(interval, direction)
    shown = [f"string_agg({column.text_sql()}, ',') AS {column.sql}" for column in _SHOWN]
    return _PAGE.format(
        bars=bars if direction == "ASC" else _REVERSED.format(bars=bars),
        counts="NULL::bytea" if interval is ONE_MINUTE else "array_send(array_agg(count::bigint))",
        numbers=", ".join([*shown, *map(_make_joined_sql, sorted(further))]),
        has_more=_HAS_MORE[direction].format(length=_write_literal(interval.length)),
    )


@cache
def _make_window_statement(interval: Interval, names: frozenset[str]) -> str:
    numbers = "".join(f", {_make_joined_sql(name)}" for name in sorted(names))
    return _WINDOW.format(bars=_make_bars_sql(interval, "ASC"), numbers=numbers)


def _make_joined_sql(name: str) -> str:
    """Return the SQL of a number's texts, of one that features are made from."""
    text = DECIMAL.text_sql.format(EXACT_FEATURES[name]) if name in EXACT_FEATURES else f"{name}::text"
    if name in _OPTIONAL:
        # string_agg leaves nulls out, and the columns would no longer agree.
        text = f"coalesce({text}, 'null')"
    return f"string_agg({text}, ',') AS {name}"


def _write_literal(length: timedelta) -> str:
    return f"{int(length.total_seconds())} seconds"
