"""What statistics are made from: sums and extremes in one statement, closes in another.

Sums and extremes come from whole days and hours of the rollups, with the range's edges from the ticks; closes from
whole hours, with the edges again from the ticks. An hour's closes travel as one value: 30 days are 720 rows.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import orjson
from asyncpg import Record

from api.arrays import Floats, Integers, read_integers, read_packed_floats
from shared.database.connection import Connection
from shared.errors import DatabaseUnavailableError
from shared.instant import DAY, EPOCH, MINUTE

_HOUR = 60 * MINUTE
# A minute that comes in between the two statements makes their counts differ.
_ATTEMPTS = 3


class Totals(NamedTuple):
    """Exact sums and extremes as decimal text; None where there is no minute."""

    minutes: int
    volume: str | None
    quote_volume: str | None
    trades: int | None
    vwap: str | None
    first: str | None
    last: str | None
    change: str | None
    change_percent: str | None
    low: str | None
    low_at: str | None
    high: str | None
    high_at: str | None


class Closes(NamedTuple):
    """Every close in order, and which minutes they are of: each hour's first, since 1970, and its mask."""

    values: Floats
    hours: Integers
    masks: Integers

    def are_unbroken(self) -> bool:
        """Whether no minute is missing between the first and the last."""
        first, last = int(self.masks[0]), int(self.masks[-1])
        begin = int(self.hours[0]) + (first & -first).bit_length()
        return int(self.hours[-1]) + last.bit_length() - begin + 1 == len(self.values)

    def minutes(self) -> Integers:
        """The minute of each close, since 1970."""
        grid = self.hours[:, None] + np.arange(60)
        minutes: Integers = grid[(self.masks[:, None] >> np.arange(60)) & 1 == 1]
        return minutes


async def select_statistics(
    connection: Connection, symbol: str, start: datetime, end: datetime
) -> tuple[Totals, Closes]:
    """Read what is needed of the minutes [start, end), both on whole minutes; the two parts fit together."""
    hours_start = min(_ceil(start, _HOUR), end)
    hours_end = max(hours_start, _floor(end, _HOUR))
    days_start = min(_ceil(hours_start, DAY), hours_end)
    days_end = max(days_start, _floor(hours_end, DAY))
    for _ in range(_ATTEMPTS):
        found = await connection.fetchval(_TOTALS, symbol, start, hours_start, days_start, days_end, hours_end, end)
        totals = Totals(**orjson.loads(found))
        closes = _read_closes(await connection.fetch(_CLOSES, symbol, start, hours_start, hours_end, end))
        if totals.minutes == len(closes.values):
            return totals, closes
    raise DatabaseUnavailableError("The minutes asked for change faster than they can be read; try again.")


def _read_closes(parts: list[Record]) -> Closes:
    """Put the parts together: the first edge, whole hours, the last edge, those that have a minute."""
    return Closes(
        values=read_packed_floats(b"".join([part["closes"] for part in parts])),
        hours=np.concatenate([np.empty(0, np.int64), *(read_integers(part["hours"]) for part in parts)]),
        masks=np.concatenate([np.empty(0, np.int64), *(read_integers(part["masks"]) for part in parts)]),
    )


def _floor(instant: datetime, length: timedelta) -> datetime:
    return instant - (instant - EPOCH) % length


def _ceil(instant: datetime, length: timedelta) -> datetime:
    return instant + (EPOCH - instant) % length


# $1 symbol; $2 start, $3 the first whole hour, $4 the first whole day, $5 the end of whole days, $6 of whole hours,
# $7 end.
_TOTALS = """
    WITH totals AS MATERIALIZED (
        SELECT coalesce(sum(count), 0) AS count,
               sum(volume) AS volume,
               sum(quote_volume) AS quote_volume,
               sum(trades) AS trades,
               min(low) AS low,
               max(high) AS high
        FROM (
            SELECT 1 AS count, volume, quote_volume, trades, low, high
            FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3
            UNION ALL
            SELECT count, volume, quote_volume, trades, low, high
            FROM hourly_rollups WHERE symbol = $1 AND hour >= $3 AND hour < $4
            UNION ALL
            SELECT count, volume, quote_volume, trades, low, high
            FROM daily_rollups WHERE symbol = $1 AND day >= $4 AND day < $5
            UNION ALL
            SELECT count, volume, quote_volume, trades, low, high
            FROM hourly_rollups WHERE symbol = $1 AND hour >= $5 AND hour < $6
            UNION ALL
            SELECT 1, volume, quote_volume, trades, low, high
            FROM ticks WHERE symbol = $1 AND minute >= $6 AND minute < $7
        ) AS pieces
    ),
    edges AS MATERIALIZED (
        SELECT (SELECT close FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $7 ORDER BY minute LIMIT 1)
                   AS first,
               (SELECT close FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $7 ORDER BY minute DESC LIMIT 1)
                   AS last
    ),
    -- The first whole hour to reach an extreme; the minute is then looked for in it.
    hours AS MATERIALIZED (
        SELECT (SELECT min(hour) FROM hourly_rollups AS hourly
                WHERE symbol = $1 AND hour >= $3 AND hour < $6 AND hourly.low = totals.low) AS low_hour,
               (SELECT min(hour) FROM hourly_rollups AS hourly
                WHERE symbol = $1 AND hour >= $3 AND hour < $6 AND hourly.high = totals.high) AS high_hour
        FROM totals
    )
    SELECT json_build_object(
               'minutes', count,
               'volume', trim_scale(volume)::text,
               'quote_volume', trim_scale(quote_volume)::text,
               'trades', trades,
               'vwap', trim_scale(quote_volume / nullif(volume, 0))::text,
               'first', trim_scale(first)::text,
               'last', trim_scale(last)::text,
               'change', trim_scale(last - first)::text,
               'change_percent', trim_scale((last - first) * 100 / first)::text,
               'low', trim_scale(low)::text,
               'low_at', coalesce(
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $2 AND minute < $3 AND ticks.low = totals.low),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= low_hour AND minute < low_hour + interval '1 hour'
                      AND ticks.low = totals.low),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $6 AND minute < $7 AND ticks.low = totals.low)
               ),
               'high', trim_scale(high)::text,
               'high_at', coalesce(
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $2 AND minute < $3 AND ticks.high = totals.high),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= high_hour AND minute < high_hour + interval '1 hour'
                      AND ticks.high = totals.high),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $6 AND minute < $7 AND ticks.high = totals.high)
               )
           )::text
    FROM totals CROSS JOIN edges CROSS JOIN hours
"""

# $1 symbol; $2 start, $3 the first whole hour, $4 the end of whole hours, $5 end. An edge lies within one hour.
_CLOSES = """
    SELECT array_send(ARRAY[(date_part('epoch', date_bin('1 hour', min(minute), '2000-01-01Z')) / 60)::bigint])
               AS hours,
           array_send(ARRAY[bit_or(1::bigint << date_part('minute', minute)::integer)]) AS masks,
           string_agg(float8send(close::float8), ''::bytea) AS closes
    FROM (SELECT minute, close FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3 ORDER BY minute) AS edge
    HAVING count(*) > 0
    UNION ALL
    SELECT array_send(array_agg((date_part('epoch', hour) / 60)::bigint)),
           array_send(array_agg(minutes)),
           string_agg(closes, ''::bytea)
    FROM (
        SELECT hour, minutes, closes
        FROM hourly_rollups
        WHERE symbol = $1 AND hour >= $3 AND hour < $4
        ORDER BY hour
    ) AS whole
    HAVING count(*) > 0
    UNION ALL
    SELECT array_send(ARRAY[(date_part('epoch', date_bin('1 hour', min(minute), '2000-01-01Z')) / 60)::bigint]),
           array_send(ARRAY[bit_or(1::bigint << date_part('minute', minute)::integer)]),
           string_agg(float8send(close::float8), ''::bytea)
    FROM (SELECT minute, close FROM ticks WHERE symbol = $1 AND minute >= $4 AND minute < $5 ORDER BY minute) AS edge
    HAVING count(*) > 0
"""
