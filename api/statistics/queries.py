"""What statistics are made from: sums, extremes, and every close.

Sums and extremes come from whole days and hours of the rollups, with the range's edges from the ticks; closes from
whole hours, with the edges again from the ticks. An hour's closes travel as one value: 30 days are 720 rows.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np

from api.arrays import read_integers, read_packed_floats
from api.fields import make_select_list
from api.intervals import ONE_DAY, ONE_HOUR
from api.statistics.fields import TOTAL_FIELDS
from shared.database.connection import Connection, Record
from shared.rolling import Floats, Integers


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


NO_CLOSES = Closes(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))


async def select_statistics(
    connection: Connection, symbol: str, start: datetime, end: datetime
) -> tuple[Record, Closes]:
    """Read what is needed of the minutes [start, end), both on whole minutes, as they are at one moment.

    The record has the fields that Postgres computes, and as `minutes` how many minutes they are of.
    """
    hours_start = min(ONE_HOUR.ceil(start), end)
    hours_end = max(hours_start, ONE_HOUR.floor(end))
    days_start = min(ONE_DAY.ceil(hours_start), hours_end)
    days_end = max(days_start, ONE_DAY.floor(hours_end))
    row = await connection.fetchrow(_STATISTICS, symbol, start, hours_start, days_start, days_end, hours_end, end)
    assert row is not None  # noqa: S101 - sums always have a row
    if row["closes"] is None:
        return row, NO_CLOSES
    return row, Closes(read_packed_floats(row["closes"]), read_integers(row["hours"]), read_integers(row["masks"]))


# One statement sees one state of the database. $1 symbol; $2 start, $3 the first whole hour, $4 the first whole day,
# $5 the end of whole days, $6 of whole hours, $7 end. An edge lies within one hour.
_STATISTICS = f"""
    WITH totals AS MATERIALIZED (
        SELECT coalesce(sum(count), 0) AS count,
               sum(volume) AS volume,
               -- Null unless every minute has it.
               CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume,
               CASE WHEN count(trades) = count(*) THEN sum(trades) END AS trades,
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
    -- The first whole hour to reach an extreme, of those in a day that does; the minute is then looked for in it.
    hours AS MATERIALIZED (
        SELECT min(hour) FILTER (WHERE hourly.low = totals.low) AS low_hour,
               min(hour) FILTER (WHERE hourly.high = totals.high) AS high_hour
        FROM totals
        CROSS JOIN LATERAL (
            SELECT hour, low, high
            FROM hourly_rollups WHERE symbol = $1 AND hour >= $3 AND hour < $4
            UNION ALL
            SELECT hour, of_day.low, of_day.high
            FROM daily_rollups AS daily
            JOIN hourly_rollups AS of_day
              ON of_day.symbol = $1 AND hour >= day AND hour < day + interval '24 hours'
            WHERE daily.symbol = $1 AND day >= $4 AND day < $5
              AND (daily.low = totals.low OR daily.high = totals.high)
            UNION ALL
            SELECT hour, low, high
            FROM hourly_rollups WHERE symbol = $1 AND hour >= $5 AND hour < $6
        ) AS hourly
    ),
    closes AS (
        SELECT array_send(array_agg((date_part('epoch', hour) / 60)::bigint)) AS hours,
               array_send(array_agg(minutes)) AS masks,
               string_agg(closes, ''::bytea) AS closes
        FROM (
            SELECT date_bin('1 hour', min(minute), '2000-01-01Z') AS hour,
                   bit_or(1::bigint << date_part('minute', minute)::integer) AS minutes,
                   string_agg(float8send(close::float8), ''::bytea) AS closes
            FROM (SELECT * FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3 ORDER BY minute) AS edge
            HAVING count(*) > 0
            UNION ALL
            (SELECT hour, minutes, closes
             FROM hourly_rollups WHERE symbol = $1 AND hour >= $3 AND hour < $6 ORDER BY hour)
            UNION ALL
            SELECT date_bin('1 hour', min(minute), '2000-01-01Z'),
                   bit_or(1::bigint << date_part('minute', minute)::integer),
                   string_agg(float8send(close::float8), ''::bytea)
            FROM (SELECT * FROM ticks WHERE symbol = $1 AND minute >= $6 AND minute < $7 ORDER BY minute) AS edge
            HAVING count(*) > 0
        ) AS pieces
    )
    SELECT closes.*, count AS minutes, {make_select_list(TOTAL_FIELDS)}
    FROM totals
    CROSS JOIN edges
    CROSS JOIN hours
    CROSS JOIN closes
    CROSS JOIN LATERAL (
        SELECT coalesce(
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $2 AND minute < $3 AND ticks.low = totals.low),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= low_hour AND minute < low_hour + interval '1 hour'
                      AND ticks.low = totals.low),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $6 AND minute < $7 AND ticks.low = totals.low)
               ) AS low_at,
               coalesce(
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $2 AND minute < $3 AND ticks.high = totals.high),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= high_hour AND minute < high_hour + interval '1 hour'
                      AND ticks.high = totals.high),
                   (SELECT min(minute) FROM ticks
                    WHERE symbol = $1 AND minute >= $6 AND minute < $7 AND ticks.high = totals.high)
               ) AS high_at
    ) AS instants
"""  # noqa: S608 - of literals alone
