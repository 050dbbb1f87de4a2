"""The simulated exchange in a test: standing still at one instant, and asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from simulator.clock import ManualClock
from simulator.server import Simulator, running

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOON_MS = 1_767_614_400_000
MINUTE_MS = 60_000
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Exchange:
    """A running simulator, the clock that moves it, and a client."""

    simulator: Simulator
    clock: ManualClock
    url: str
    client: aiohttp.ClientSession

    async def get(self, path: str, /, **query: object) -> Any:
        """The JSON body of an answer, whatever its status."""
        _, body = await self.ask(path, **query)
        return body

    async def ask(self, path: str, /, **query: object) -> tuple[int, Any]:
        """Status and JSON body of an answer."""
        parameters = {name: str(value) for name, value in query.items()}
        async with self.client.get(self.url + path, params=parameters) as answer:
            return answer.status, await answer.json(content_type=None)

    async def klines(self, **query: object) -> Any:
        """The body of a question for BTCUSDT's minutes."""
        return await self.get("/api/v3/klines", **{"symbol": "BTCUSDT", "interval": "1m", **query})

    @asynccontextmanager
    async def stream(self, path: str = "/ws/btcusdt@kline_1m") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A stream connection that the simulator knows of."""
        async with asyncio.timeout(PATIENCE_SECONDS), self.client.ws_connect(self.url + path) as socket:
            # The reply shows that the connection is served, so that no push can be missed from here on.
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 0})
            await socket.receive_json()
            yield socket


@asynccontextmanager
async def exchange(clock: ManualClock | None = None, **options: Any) -> AsyncIterator[Exchange]:
    """Run a simulator that stands at noon, made with the options given."""
    clock = clock or ManualClock(NOON)
    simulator = Simulator(clock=clock, **options)
    async with running(simulator) as url, aiohttp.ClientSession() as client:
        yield Exchange(simulator, clock, url, client)
