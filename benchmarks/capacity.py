"""Measures what one core serves, by the CPU time of the API and of Postgres without the client's."""

import argparse
import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.common import database, process, read_until_event
from benchmarks.load.record import fill_record
from benchmarks.load.requests import ask

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
ROUTES = {
    "latest": "/price/latest",
    "history of 100": "/price/history?limit=100",
    "history of 1,000": "/price/history?limit=1000",
    "stats of 24h": "/price/stats?window=24h",
}
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(name: str) -> float:
    """Return the CPU seconds used so far by the running processes whose command line contains `name`."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name in (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


async def main(seconds: float, connections: int) -> None:
    """Load each route in turn, and print how many requests a second one core of each serves."""
    async with database() as database_:
        await fill_record(database_.owner_url, START, DAYS)
        async with process("api", API_DATABASE_URL=database_.urls["api"], API_PORT="0") as api:
            address = (await read_until_event(api, "api_listening"))["url"]
            for route, path in ROUTES.items():
                await ask(address + path, 1, connections)
                began_api, began_postgres = cpu_seconds("-m api"), cpu_seconds("postgres: ")
                load = await ask(address + path, seconds, connections)
                count = load.rate * seconds
                used_api, used_postgres = cpu_seconds("-m api") - began_api, cpu_seconds("postgres: ") - began_postgres
                print(
                    f"{route}: {count / used_api:.0f} requests/s for each core of the API, "
                    f"{count / used_postgres:.0f} for each core of Postgres ({load.rate:.0f} requests/s and "
                    f"{load.latency_ms:.1f} ms median with {connections} connections, the client on the same machine)"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each route")
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    asyncio.run(main(options.seconds, options.connections))
