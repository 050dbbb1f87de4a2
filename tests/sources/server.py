"""A server in the shapes of Coinbase Exchange's public market data, over invented minutes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.instant import EPOCH, MINUTE, floor_minute, from_milliseconds, parse_instant, to_text, utc_now
from shared.runs import Run, Runs
from simulator.clock import RunningClock

LARGEST_PAGE = 300


@dataclass
class CoinbaseServer:
    """An exchange with one product and every minute since 1970 but those of `holes`, where nobody traded."""

    clock: RunningClock
    product: str = "BTC-USD"
    holes: Runs = field(default_factory=Runs)
    cap: int = LARGEST_PAGE
    """How many rows it gives at once, the newest of what was asked for."""
    shows_open_candle: bool = True
    retry_after: int | None = None
    """Seconds that it asks everybody to stay away."""
    asked: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        """Its time."""
        return from_milliseconds(self.clock.now_ms())

    async def answer(self, request: web.Request) -> web.Response:
        """Answer what the source asks."""
        self.asked.append(request.path)
        if self.retry_after is not None:
            headers = {"Retry-After": str(self.retry_after)}
            return web.json_response({"message": "Public rate limit exceeded"}, status=429, headers=headers)
        if request.path == "/time":
            now = self.now()
            return web.json_response({"iso": to_text(now), "epoch": now.timestamp()})
        if not request.path.startswith(f"/products/{self.product}"):
            return web.json_response({"message": "NotFound"}, status=404)
        if not request.path.endswith("/candles"):
            return web.json_response({"id": self.product, "status": "online"})
        return self.answer_candles(request)

    def answer_candles(self, request: web.Request) -> web.Response:
        """Rows of minutes, newest first; the range includes its end."""
        start, end = (parse_instant(request.query[name], utc_now()) for name in ("start", "end"))
        if request.query["granularity"] != "60" or (end - start) // MINUTE >= LARGEST_PAGE:
            return web.json_response({"message": "granularity too small for the requested time range"}, status=400)
        last = min(floor_minute(end), floor_minute(self.now()) - (timedelta(0) if self.shows_open_candle else MINUTE))
        minutes = self.minutes(Run(start, last + MINUTE))[::-1][: self.cap]
        return web.json_response([self.row(minute) for minute in minutes])

    def minutes(self, asked: Run) -> list[datetime]:
        """The minutes that it has of a run, oldest first."""
        there = Runs([asked]) - self.holes
        return [run.start + number * MINUTE for run in there for number in range(run.minutes)]

    def row(self, minute: datetime) -> list[float]:
        """A minute as it is sent; the volume of the open one is still growing."""
        number = (minute - EPOCH) // MINUTE
        low, close = 30_000 + number % 977 / 100, 30_000 + number % 977 / 100 + 0.25
        passed = min(1.0, (self.now() - minute) / MINUTE)
        return [number * 60, low, low + 1.5, low + 0.5, close, round((1 + number % 13 / 8) * passed, 8)]


@asynccontextmanager
async def serving(server: CoinbaseServer) -> AsyncIterator[str]:
    """Its URL, as long as the block runs."""
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    async with TestServer(application) as running:
        yield str(running.make_url("")).rstrip("/")
