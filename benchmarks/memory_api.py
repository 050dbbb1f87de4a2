"""Measures the memory of an API worker: at rest, after pages and statistics, and while it streams a year."""

import argparse
import asyncio
from datetime import UTC, datetime

import aiohttp

from benchmarks.common import database, measure_memory_mb, process, read_until_event
from benchmarks.load.record import fill_record
from benchmarks.load.requests import ask

START = datetime(2024, 1, 1, tzinfo=UTC)


async def main(days: int) -> None:
    """Load the API in steps, and print its resident memory after each."""
    async with database() as database_:
        await fill_record(database_.owner_url, START, days)
        async with process("api", API_DATABASE_URL=database_.urls["api"], API_PORT="0") as api:
            address = (await read_until_event(api, "api_listening"))["url"]
            await ask(f"{address}/price/latest", 0.5, 1)
            at_rest = measure_memory_mb(api.pid)
            for query in ("history?limit=1000", "history?limit=10000&features=all", "stats?window=30d"):
                await ask(f"{address}/price/{query}", 1.0, 4)
            after_pages = measure_memory_mb(api.pid)
            received = await read_table(f"{address}/price/history?format=csv")
            peak = measure_memory_mb(api.pid, peak=True)
    print(f"API worker at rest {at_rest:.0f} MB (target: under 120; ratio {at_rest / 120:.2f})")
    print(f"after pages {after_pages:.0f} MB; peak with a streamed table of {received / 1e6:.0f} MB: {peak:.0f} MB")


async def read_table(url: str) -> int:
    """Read a streamed table to its end, and return its length in bytes."""
    received = 0
    timeout = aiohttp.ClientTimeout(total=600)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(url) as response,
    ):
        async for piece in response.content.iter_any():
            received += len(piece)
    return received


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=366)
    asyncio.run(main(parser.parse_args().days))
