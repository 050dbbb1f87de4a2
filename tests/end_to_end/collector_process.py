"""Collectors as processes of their own, asking a simulated exchange that runs inside the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from collector.leadership import LEASE_SECONDS
from shared.instant import from_milliseconds
from simulator.clock import RunningClock
from simulator.request_log import Entry
from simulator.server import Simulator, running
from tests.collecting import (
    connected,
    count,
    eventually,
    final_count,
    final_rows,
    rollup_differences,
    stored,
)
from tests.postgres import AnyConnection, Database
from tests.processes import python
from tests.simulated import NOON

# From the death of a leader to the next one's leading, as promised.
TAKEOVER_SECONDS = 15.0
assert LEASE_SECONDS < TAKEOVER_SECONDS


@dataclass(frozen=True)
class Stage:
    """A simulated exchange, a database, and the environment with which collectors are started."""

    simulator: Simulator
    url: str
    database: Database
    environment: dict[str, str]

    def requests(self) -> list[Entry]:
        """Every request that came so far."""
        return self.simulator.log.since(0)

    def now(self) -> datetime:
        """The exchange's time."""
        return from_milliseconds(self.simulator.market.now_ms())

    @asynccontextmanager
    async def collector(
        self, *arguments: str, folder: Path | None = None, **environment: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the collector's command, by default `run`; killed at the end if it still runs."""
        settings = self.environment | environment
        async with python("-m", "collector", *(arguments or ("run",)), environment=settings, folder=folder) as process:
            yield process

    async def until_whole(self, connection: AnyConnection, start: datetime, end: datetime, seconds: float = 60) -> None:
        """Wait until the record is as long as the exchange's, and hold it against that row by row."""
        wanted = final_count(self.simulator, "BTCUSDT", start, end)

        async def is_whole() -> bool:
            return await count(connection, "BTCUSDT", start, end) >= wanted

        await eventually(is_whole, seconds)
        assert await stored(connection, "BTCUSDT", start, end) == final_rows(self.simulator, "BTCUSDT", start, end)
        assert await rollup_differences(connection) == 0


@asynccontextmanager
async def stage(
    database: Database, *faults: str, start: datetime = NOON, source: Any = None, **environment: str
) -> AsyncIterator[Stage]:
    """Run a simulated exchange under two names, as two hosts, for collectors of `database`."""
    simulator = Simulator(source, clock=RunningClock(start), faults=faults)
    async with running(simulator) as url:
        settings = {
            "COLLECTOR_DATABASE_URL": database.collector_url,
            "COLLECTOR_REST_URLS": f"{url},{url.replace('127.0.0.1', 'localhost')}",
            "COLLECTOR_STREAM_URL": url.replace("http://", "ws://"),
            "COLLECTOR_ARCHIVE_URL": url,
            "COLLECTOR_SOURCE": "simulated",
            "COLLECTOR_BACKFILL_SINCE": "2h",
            # Nobody reads the pipe while the collector runs, so little may be said.
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
        }
        yield Stage(simulator, url, database, settings | environment)


async def leader(connection: AnyConnection) -> str | None:
    """The instance that holds the lease."""
    holder: str | None = await connection.fetchval("SELECT holder FROM leadership WHERE renewed_at > '-infinity'")
    return holder


async def until_leading(connection: AnyConnection, other_than: str | None = None, seconds: float = 30) -> str:
    """Wait until somebody else leads, and return who."""

    async def leads() -> bool:
        return await leader(connection) not in {None, other_than}

    await eventually(leads, seconds)
    found = await leader(connection)
    assert found is not None
    return found


async def ended(process: asyncio.subprocess.Process, seconds: float) -> tuple[int | None, list[dict[str, Any]], str]:
    """Wait for the end, and return the exit code, the log's entries and the complaints."""
    async with asyncio.timeout(seconds):
        output, complaints = await process.communicate()
    lines = [line for line in output.decode().splitlines() if line.startswith("{")]
    return process.returncode, [json.loads(line) for line in lines], complaints.decode()


__all__ = ["Stage", "connected", "ended", "leader", "stage", "until_leading"]
