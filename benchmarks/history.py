"""Measures `/price/history` of 1,000 rows with the default features beside the same route written plainly."""

import argparse
import asyncio
from datetime import UTC, datetime
from statistics import median

from benchmarks.common import database, process, read_until_event
from benchmarks.load.record import fill_record
from benchmarks.load.requests import Load, ask

START = datetime(2024, 1, 1, tzinfo=UTC)
FIRST_ROW = "2024-01-05T00:00:00Z"
DAYS = 60


async def main(rows: int, seconds: float, connections: int, rounds: int) -> None:
    """Run both servers, load them in turn, and print requests a second."""
    async with database() as database_:
        await fill_record(database_.owner_url, START, DAYS)
        url = database_.urls["api"]
        async with (
            process("api", API_DATABASE_URL=url, API_PORT="0") as ours,
            process("benchmarks.peers.plain_history", url) as peer,
        ):
            addresses = {
                "ours": (await read_until_event(ours, "api_listening"))["url"],
                "plain": (await read_until_event(peer, "peer_listening"))["url"],
            }
            found: dict[str, list[Load]] = {name: [] for name in addresses}
            for _ in range(rounds):
                for name, address in addresses.items():
                    query = f"{address}/price/history?start={FIRST_ROW}&limit={rows}"
                    found[name].append(await ask(query, seconds / rounds, connections))
    for name, loads in found.items():
        rate, latency = median(load.rate for load in loads), median(load.latency_ms for load in loads)
        print(f"{name}: {rate:.1f} requests/s, {latency:.1f} ms median, {loads[0].length:,} bytes of {rows} rows")
    ratio = median(load.rate for load in found["ours"]) / median(load.rate for load in found["plain"])
    print(f"ratio {ratio:.1f} (target: at least 4) with {connections} connections")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each of the two")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4, help="the two take turns so many times")
    options = parser.parse_args()
    asyncio.run(main(options.rows, options.seconds, options.connections, options.rounds))
