"""Measures the backfill of a year from a local source beside a bare COPY of the same rows into an equal table."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from statistics import median
from time import perf_counter

import aiohttp
import asyncpg

from benchmarks.common import (
    SYMBOL,
    Database,
    database,
    exchange,
    get_bytes,
    make_collector_environment,
    measure_memory_mb,
    process,
)
from collector.copy_text import COPY_COLUMNS
from collector.sources.binance.archive_copy import make_copy_text
from collector.sources.binance.archive_file import ArchiveFile
from shared.instant import parse_instant, utc_now

YEAR = 2024
MINUTES = 366 * 1440


async def fetch_year(url: str) -> list[bytes]:
    """Fetch the year's archives, so that the source has them in its cache, and return them as COPY text."""
    pieces = []
    async with aiohttp.ClientSession() as session:
        for month in range(1, 13):
            first_day = parse_instant(f"{YEAR}-{month:02}-01", utc_now()).date()
            file = ArchiveFile(SYMBOL, "monthly", first_day)
            content = await get_bytes(session, url + file.path)
            await get_bytes(session, url + file.path + ".CHECKSUM")
            pieces += make_copy_text(content, file, file.minutes, SYMBOL, "simulated").pieces
    return pieces


async def time_copy(database_: Database, pieces: list[bytes]) -> float:
    """Return the seconds of a bare COPY into an empty table with the columns, constraints and key of `ticks`."""

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    connection = await asyncpg.connect(database_.owner_url)
    try:
        await connection.execute("DROP TABLE IF EXISTS bare")
        await connection.execute("CREATE TABLE bare (LIKE ticks INCLUDING ALL)")
        await connection.execute("CHECKPOINT")
        began_at = perf_counter()
        await connection.copy_to_table("bare", source=source(), columns=COPY_COLUMNS, format="csv")
        return perf_counter() - began_at
    finally:
        await connection.close()


async def time_backfill(database_: Database, url: str) -> tuple[float, float]:
    """Run `collector backfill` into empty tables; returns its seconds with its start, and its peak memory in MB."""
    connection = await asyncpg.connect(database_.owner_url)
    await connection.execute("TRUNCATE ticks, hourly_rollups, daily_rollups, absences")
    await connection.execute("CHECKPOINT")
    command = ("collector", "backfill", "--since", f"{YEAR}-01-01", "--until", f"{YEAR + 1}-01-01")
    peak = 0.0
    began_at = perf_counter()
    async with process(*command, **make_collector_environment(database_, url)) as backfill:
        assert backfill.stdout
        while not backfill.stdout.at_eof():
            peak = max(peak, _peak(backfill.pid))
            await backfill.stdout.readline()
        await backfill.wait()
        seconds = perf_counter() - began_at
    stored = await connection.fetchval("SELECT count(*) FROM ticks")
    rolled_up = await connection.fetchval("SELECT sum(count) FROM daily_rollups")
    await connection.close()
    if not stored == rolled_up == MINUTES:
        raise RuntimeError(f"{stored} minutes stored and {rolled_up} rolled up of {MINUTES}")
    return seconds, peak


def _peak(pid: int) -> float:
    """Return the peak memory in MB; 0 when the process has ended."""
    try:
        return measure_memory_mb(pid, peak=True)
    except (OSError, RuntimeError):
        return 0.0


async def main(rounds: int) -> None:
    """Run both in turn, and print the medians and their ratio."""
    async with database() as database_, exchange("--symbols", SYMBOL, "--start", f"{YEAR + 1}-02-01") as url:
        pieces = await fetch_year(url)
        copies, backfills, peak = [], [], 0.0
        for _ in range(rounds):
            copies.append(await time_copy(database_, pieces))
            seconds, memory = await time_backfill(database_, url)
            backfills.append(seconds)
            peak = max(peak, memory)
    copied, filled = MINUTES / median(copies), MINUTES / median(backfills)
    print(f"backfill of a year: {filled:,.0f} rows/s, its start included ({median(backfills):.2f} s)")
    print(f"bare COPY of the same rows: {copied:,.0f} rows/s ({median(copies):.2f} s)")
    print(
        f"ratio of the rates: {filled / copied:.2f} (target: at least 0.5); peak memory of the collector {peak:.0f} MB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(main(parser.parse_args().rounds))
