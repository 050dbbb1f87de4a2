"""An exchange that speaks the protocol in its own way: shorter pages, nonsense rows, paths that it has not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.sources.binance import SourceSettings, open_source
from collector.sources.binance.source import Binance
from shared.instant import EPOCH, MINUTE, from_milliseconds, to_milliseconds
from tests.klines import row

NOW = datetime(2024, 3, 5, 12, tzinfo=UTC)


@dataclass
class Peculiar:
    """An exchange with every minute up to now, that gives at most `cap` rows at a time."""

    cap: int = 1000
    knows_info: bool = True
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    spoil: Callable[[list[object]], list[object]] = lambda rows: rows
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer the three paths that the collector asks."""
        self.asked.append(request.path)
        if request.path == "/api/v3/time":
            return web.json_response({"serverTime": to_milliseconds(NOW)})
        if request.path != "/api/v3/klines":
            return self.info(request)
        start = from_milliseconds(int(request.query["startTime"]))
        end = min(from_milliseconds(int(request.query["endTime"]) + 1), NOW + MINUTE)
        limit = min(self.cap, int(request.query["limit"]))
        first, last = -((EPOCH - start) // MINUTE), -((EPOCH - end) // MINUTE)
        rows: list[object] = [row(EPOCH + number * MINUTE) for number in range(first, last)[:limit]]
        return web.json_response(self.spoil(rows))

    def info(self, request: web.Request) -> web.Response:
        """Its limits, to who asks of symbols that it has."""
        if not self.knows_info:
            return web.Response(status=404, text="Not Found")
        asked = [request.query["symbol"]] if "symbol" in request.query else json.loads(request.query["symbols"])
        if not set(asked) <= set(self.symbols):
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
        return web.json_response({"rateLimits": [limit]})


@asynccontextmanager
async def serving(peculiar: Peculiar) -> AsyncIterator[str]:
    """Its URL, as long as the block runs."""
    application = web.Application()
    application.router.add_get("/{path:.*}", peculiar.answer)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def source_at(peculiar: Peculiar, *dead_urls: str) -> AsyncIterator[Binance]:
    """The collector's view of it, behind hosts that do not answer, with the time known."""
    async with serving(peculiar) as url:
        settings = SourceSettings.load(rest_urls=(*dead_urls, url), stream_url="", archive_url="")
        async with open_source(settings, asyncio.Event()) as source:
            await source.measure_time()
            yield source
