"""Measures how long the track record of a month takes beside the same sums over a table with a column a level.

The month has a score for each minute and horizon. Both sums run in turn, over the same values in the same server.
"""

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import asyncpg

from api.track_record import WINDOWS, select_sums
from benchmarks.common import SYMBOL, database
from shared.database.connection import Connection, DriverConnection
from shared.levels import LEVELS

UNTIL = datetime(2024, 3, 1, tzinfo=UTC)
HORIZONS = (1, 5, 15, 60)

_FILL = """
    INSERT INTO forecast_scores (
        symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
        naive_absolute_error, levels, covered, winkler, pinball, qlike
    )
    SELECT $1, target_time - make_interval(mins => horizon), horizon, target_time, 50000, 1e-6,
           round((random() * 50)::numeric, 2), round((random() * 50)::numeric, 2), $4::smallint[],
           array(SELECT random() * 100 < level + 0 * number FROM unnest($4::smallint[]) AS level),
           array(SELECT random() * level + 0 * number FROM unnest($4::smallint[]) AS level),
           random(), random()
    FROM generate_series(0, $2::integer * 1440 - 1) AS number
    CROSS JOIN LATERAL (SELECT $3::timestamptz - make_interval(mins => number) AS target_time) AS target
    CROSS JOIN unnest($5::integer[]) AS horizon
    ORDER BY target_time - make_interval(mins => horizon), horizon
"""
_PLAIN_TABLE = """
    CREATE TABLE plain_scores AS
    SELECT symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
           naive_absolute_error, {columns}, pinball, qlike, scored_at
    FROM forecast_scores
    ORDER BY symbol, made_at, horizon_minutes
"""
_PLAIN_SUMS = """
    SELECT horizon_minutes,
           (target_time <= $2::timestamptz - $3::interval)::integer
               + (target_time <= $2::timestamptz - $4::interval)::integer AS part,
           count(*), sum(absolute_error), sum(naive_absolute_error), {sums}, sum(pinball), sum(qlike), count(qlike)
    FROM plain_scores
    WHERE symbol = $1
      AND made_at > $2::timestamptz - $5::interval - interval '1 day'
      AND target_time > $2::timestamptz - $5::interval
      AND target_time <= $2::timestamptz
    GROUP BY horizon_minutes, part
"""


async def fill(connection: DriverConnection, days: int) -> int:
    """Store a month of scores, and a copy with a column a level; returns how many."""
    await connection.execute(_FILL, SYMBOL, days, UNTIL, LEVELS, HORIZONS)
    columns = ", ".join(
        f"covered[{place}] AS covered_{level}, winkler[{place}] AS winkler_{level}"
        for place, level in enumerate(LEVELS, 1)
    )
    await connection.execute(_PLAIN_TABLE.format(columns=columns))
    await connection.execute("ALTER TABLE plain_scores ADD PRIMARY KEY (symbol, made_at, horizon_minutes)")
    await connection.execute("VACUUM ANALYZE forecast_scores, plain_scores")
    count: int = await connection.fetchval("SELECT count(*) FROM forecast_scores")
    return count


async def main(rounds: int) -> None:
    """Sum both up in turn, and print how long each takes."""
    sums = ", ".join(f"count(*) FILTER (WHERE covered_{level}), sum(winkler_{level})" for level in LEVELS)
    plain_sums = _PLAIN_SUMS.format(sums=sums)
    ours, plain = [], []
    async with database() as database_:
        connection = await asyncpg.connect(database_.owner_url)
        try:
            count = await fill(connection, WINDOWS["30d"] // timedelta(days=1))
            for _ in range(rounds):
                began_at = perf_counter()
                await select_sums(Connection(connection), SYMBOL, UNTIL)
                ours.append(perf_counter() - began_at)
                began_at = perf_counter()
                await connection.fetch(plain_sums, SYMBOL, UNTIL, *WINDOWS.values())
                plain.append(perf_counter() - began_at)
        finally:
            await connection.close()
    print(f"track record of {count:,} scores: {median(ours) * 1000:.0f} ms (median)")
    print(f"with a column a level: {median(plain) * 1000:.0f} ms; ratio {median(ours) / median(plain):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="the two take turns so many times")
    options = parser.parse_args()
    asyncio.run(main(options.rounds))
