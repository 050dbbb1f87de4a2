"""Measures `/price/stats` over 30 days beside the same over one day."""

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from statistics import median

from benchmarks.common import database, process, read_until_event
from benchmarks.load.record import fill_record
from benchmarks.load.requests import Load, ask
from shared.instant import to_text

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
# On no hour's edge, as a range that ends now is.
END = START + timedelta(days=50, hours=13, minutes=37)


async def main(seconds: float, connections: int, rounds: int) -> None:
    """Load both in turn, and print how long an answer takes."""
    async with database() as database_:
        await fill_record(database_.owner_url, START, DAYS)
        async with process("api", API_DATABASE_URL=database_.urls["api"], API_PORT="0") as api:
            address = (await read_until_event(api, "api_listening"))["url"]
            found: dict[int, list[Load]] = {1: [], 30: []}
            for _ in range(rounds):
                for days, loads in found.items():
                    query = f"start={to_text(END - timedelta(days=days))}&end={to_text(END)}"
                    loads.append(await ask(f"{address}/price/stats?{query}", seconds / rounds, connections))
    for days, loads in found.items():
        latency, rate = median(load.latency_ms for load in loads), median(load.rate for load in loads)
        print(f"stats over {days} days: {latency:.2f} ms median, {rate:.0f} requests/s")
    ratio = median(load.latency_ms for load in found[30]) / median(load.latency_ms for load in found[1])
    print(f"ratio {ratio:.2f} (target: at most 2), {connections} connection(s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each of the two")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6, help="the two take turns so many times")
    options = parser.parse_args()
    asyncio.run(main(options.seconds, options.connections, options.rounds))
