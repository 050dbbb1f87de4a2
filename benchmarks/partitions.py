"""Ticks and forecasts in one table each, as they are, against copies that have a partition for each month."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TypeAlias

import asyncpg

from benchmarks.common import database

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOL = "S1USDT"
_PREPARATION = f"""
    SELECT pg_reload_conf();
    CREATE EXTENSION pageinspect;
    INSERT INTO models VALUES
        ('{SYMBOL}', 1, 'name', 'run', now(), now(), now(), 'digest', 1, '{{15}}', true, 'the first', '{{}}', now());
    ALTER TABLE forecasts DISABLE TRIGGER USER;
"""
_TICKS = """
    INSERT INTO {table} (
        symbol, minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume,
        source
    )
    SELECT 'S' || symbol || 'USDT', minute, price, price + 5.25, price - 5.25, price + 1.17, 12.34567, 802467.8901234,
           1234, 6.54321, 425308.6512345, 'archive'
    FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 minute', '1 minute') AS minute,
         generate_series(1, 5) AS symbol,
         LATERAL (SELECT round(65000 + (extract(epoch FROM minute) / 60 % 997) / 0.7, 2)) AS walk (price)
"""
_FORECASTS = f"""
    INSERT INTO {{table}} (
        symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, levels, lower_bounds,
        upper_bounds, volatility, probability_up, model_version
    )
    SELECT '{SYMBOL}', made_at, horizon, made_at + make_interval(mins => horizon), made_at + interval '2 minutes',
           65001.17, 65002.34, '{{{{50,80,95}}}}', '{{{{64990.12,64950.34,64900.56}}}}',
           '{{{{65010.12,65050.34,65100.56}}}}', 0.00123456789, 0.51234, 1
    FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 minute', '1 minute') AS made_at,
         unnest(ARRAY[15, 60, 240, 1440]) AS horizon
"""
_LEAVES = "SELECT relid FROM pg_partition_tree('{table}') WHERE isleaf UNION SELECT '{table}'::regclass"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass
class Copy:
    """One of the two that are compared, and what was measured of it."""

    table: str
    filling: str
    column: str
    forget_first_month: str
    figures: dict[str, float]


async def main(days: int, rounds: int) -> None:
    """Fill both, ask the two in turn, and print what each took, with its ratio."""
    async with database() as database_:
        connection = await asyncpg.connect(database_.owner_url)
        try:
            await connection.execute("ALTER SYSTEM SET autovacuum = off")
            await connection.execute(_PREPARATION)
            for table, column, filling in (("ticks", "minute", _TICKS), ("forecasts", "made_at", _FORECASTS)):
                months = await _partition(connection, table, column, days)
                copies = (
                    Copy(table, filling, column, f"DELETE FROM {table} WHERE {column} < '{months[1]}'", {}),
                    Copy(f"{table}_by_month", filling, column, f"DROP TABLE {table}_{months[0]:%Y_%m}", {}),
                )
                await _measure(connection, copies, days, rounds)
                print(f"{table} of {days} days, in one table and by month:")
                for label, plain in copies[0].figures.items():
                    by_month = copies[1].figures[label]
                    print(f"  {label}: {plain:.4g} and {by_month:.4g}, ratio {by_month / plain:.2f}")
        finally:
            await connection.close()


async def _partition(connection: Connection, table: str, column: str, days: int) -> list[datetime]:
    months = sorted({(START + timedelta(days=day)).replace(day=1) for day in range(days + 35)})
    await connection.execute(
        f"CREATE TABLE {table}_by_month (LIKE {table} INCLUDING ALL) PARTITION BY RANGE ({column})"
    )
    for month, following in pairwise(months):
        await connection.execute(
            f"CREATE TABLE {table}_{month:%Y_%m} PARTITION OF {table}_by_month"
            f" FOR VALUES FROM ('{month}') TO ('{following}')"
        )
    return months


async def _measure(connection: Connection, copies: tuple[Copy, ...], days: int, rounds: int) -> None:
    end = START + timedelta(days=days)
    day_after = end + timedelta(days=1)

    async def each(label: str, work: Callable[[Copy], Awaitable[object]]) -> None:
        for copy in copies:
            began = time.perf_counter()
            await work(copy)
            copy.figures[label] = time.perf_counter() - began

    async def each_in_turn(label: str, query: str, *arguments: object) -> None:
        statements = [await connection.prepare(query.format(table=copy.table, column=copy.column)) for copy in copies]
        times: list[list[float]] = [[] for _ in copies]
        for _ in range(rounds):
            for statement, taken in zip(statements, times, strict=True):
                began = time.perf_counter()
                await statement.fetch(*arguments)
                taken.append(1_000 * (time.perf_counter() - began))
        for copy, taken in zip(copies, times, strict=True):
            copy.figures[label] = median(taken)

    def fill(copy: Copy, first: datetime, last: datetime) -> Awaitable[object]:
        return connection.execute(copy.filling.format(table=copy.table), first, last)

    def vacuum(copy: Copy) -> Awaitable[object]:
        return connection.execute(f"VACUUM {copy.table}")

    async def checkpoint_and_vacuum(label: str) -> None:
        # As it is where rows come over hours: what a checkpoint has written is frozen by the first vacuum.
        await connection.execute("CHECKPOINT")
        await each(label, vacuum)

    await each("loading, s", lambda copy: fill(copy, START, end))
    await checkpoint_and_vacuum("VACUUM after loading, s")
    await each("ANALYZE, s", lambda copy: connection.execute(f"ANALYZE {copy.table}"))
    for copy in copies:
        leaves = _LEAVES.format(table=copy.table)
        copy.figures["frozen by it, %"] = await connection.fetchval(
            f"""
            SELECT (100.0 * sum(relallfrozen) / sum(relpages))::float8
            FROM ({leaves}) AS leaves
            JOIN pg_class ON oid = relid
            """
        )
        copy.figures["size, MB"] = 1e-6 * await connection.fetchval(
            f"SELECT sum(pg_total_relation_size(relid))::float8 FROM ({leaves}) AS leaves"
        )
        copy.figures["levels of the index"] = 1 + await connection.fetchval(
            f"""
            SELECT max((bt_metap(indexrelid::regclass::text)).level)
            FROM ({leaves}) AS leaves
            JOIN pg_index ON indrelid = relid AND indisprimary
            JOIN pg_class ON pg_class.oid = indexrelid AND relkind = 'i'
            """
        )
    newest = "SELECT * FROM {table} WHERE symbol = $1 ORDER BY {column} DESC LIMIT 1"
    await each_in_turn("newest row, ms", newest, SYMBOL)
    page = "SELECT * FROM {table} WHERE symbol = $1 AND {column} >= $2 ORDER BY {column} LIMIT 1000"
    await each_in_turn("a page of 1,000 rows, ms", page, SYMBOL, START + timedelta(days=days / 2))
    await each("one more day, s", lambda copy: fill(copy, end, day_after))
    await checkpoint_and_vacuum("VACUUM after that day, s")
    await each("forgetting the first month, s", lambda copy: connection.execute(copy.forget_first_month))
    await checkpoint_and_vacuum("VACUUM after forgetting, s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=500, help="of each query, the two in turn")
    options = parser.parse_args()
    asyncio.run(main(options.days, options.rounds))
