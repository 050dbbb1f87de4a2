"""Coinbase Exchange's public candles as a source: pages of at most 300, newest first; no files and no stream."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from collector.klines import Kline, KlinePage, Refusal, show_row
from collector.sources.clock import ExchangeClock
from collector.sources.request_gate import RequestGate
from collector.sources.retry_after import choose_pause
from collector.sources.session import open_session
from collector.sources.source import CloseListener, Part, cut_newest_page
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError, UsageError
from shared.instant import EPOCH, parse_instant, to_text, utc_now
from shared.runs import Run
from shared.settings import Settings

PAGE_MINUTES = 300
REQUESTS_PER_MINUTE = 600
TIMEOUT_SECONDS = 5.0


class SourceSettings(Settings):
    """Where Coinbase is asked."""

    model_config = SettingsConfigDict(env_prefix="COLLECTOR_COINBASE_")

    url: str = Field("https://api.exchange.coinbase.com", description="The REST host")


@dataclass
class Coinbase:
    """Its REST interface, in the collector's types."""

    session: aiohttp.ClientSession
    url: str
    clock: ExchangeClock
    gate: RequestGate
    name: str = "coinbase"
    label: str = "coinbase"
    page_minutes: int = PAGE_MINUTES

    async def measure_time(self) -> None:
        """Ask `/time`."""
        sent_at = time.monotonic()
        answer = await self._ask("/time", {}, urgent=True)
        self.clock.observe(parse_instant(answer["iso"], utc_now()), sent_at)

    async def learn_limits(self, names: Sequence[str]) -> None:
        """Coinbase tells no limits; whether it has the products, asking for each of them says."""
        for name in names:
            try:
                await self._ask(f"/products/{name}", {}, urgent=True)
            except ExchangeRefusedError as error:
                raise UsageError(f"Coinbase has no product {name}; correct COLLECTOR_SYMBOLS.") from error

    async def probe_hosts(self) -> None:
        """It has one host."""

    async def fetch_page(self, name: str, asked: Run, *, urgent: bool = False) -> KlinePage:
        """Return what one question brings: the newest rows of the range, which includes its end."""
        bounds = {"granularity": "60", "start": to_text(asked.start), "end": to_text(asked.end - timedelta(seconds=1))}
        return parse_candles(await self._ask(f"/products/{name}/candles", bounds, urgent=urgent))

    async def find_history_end(self, name: str, before: datetime) -> datetime:
        """There is no such question."""
        return before

    def choose_part(self, name: str, hole: Run) -> Part:
        """It publishes no files."""
        return Part(cut_newest_page(hole, PAGE_MINUTES), None)

    async def follow_closes(self, names: Sequence[str], listener: CloseListener, stop: asyncio.Event) -> None:
        """Its stream tells of trades, not of candles."""

    async def _ask(self, path: str, params: Mapping[str, str], *, urgent: bool) -> "dict[str, str]":
        while True:
            await self.gate.admit(1, urgent=urgent)
            try:
                bound = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
                async with self.session.get(self.url + path, params=params, timeout=bound) as response:
                    body = await response.text()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.gate.note_failure()
                raise ExchangeUnreachableError(f"Coinbase does not answer: {error}.") from error
            if response.status == 429:
                self.gate.pause(choose_pause(429, response.headers.get("Retry-After")), "HTTP 429")
                continue
            if response.status in {400, 404}:
                self.gate.note_answer()
                raise ExchangeRefusedError(f"Coinbase refuses {path}: {body[:200]}", code=response.status)
            if response.status != 200:
                self.gate.note_failure()
                raise ExchangeUnreachableError(f"Coinbase does not answer: HTTP {response.status}.")
            self.gate.note_answer()
            # Numbers stay the text that came, so that they are exact.
            answer: dict[str, str] = json.loads(body, parse_float=str, parse_int=str)
            return answer


def parse_candles(rows: object) -> KlinePage:
    """Read rows [time in seconds, low, high, open, close, volume]; Coinbase tells no other amounts."""
    page = KlinePage([], [])
    for row in rows if isinstance(rows, list) else ():
        try:
            kline = parse_candle(row)
        except (ValueError, TypeError, OverflowError) as error:
            page.refused.append(Refusal(str(error), show_row(row)))
        else:
            page.klines.append(kline)
    return page


def parse_candle(row: Sequence[str]) -> Kline:
    """Read one row; raises ValueError, TypeError or OverflowError for what is none."""
    seconds, low, high, open_, close, volume = row
    lowest, opened, closed, highest = (float(price) for price in (low, open_, close, high))
    if not 0 < lowest <= min(opened, closed) <= max(opened, closed) <= highest or float(volume) < 0:
        raise ValueError("prices out of order")
    return Kline(EPOCH + timedelta(seconds=int(seconds)), open_, high, low, close, volume)


@asynccontextmanager
async def open_source(settings: SourceSettings, stop: asyncio.Event) -> AsyncIterator[Coinbase]:
    """Open the session; nothing is sent yet."""
    async with open_session() as session:
        clock = ExchangeClock()
        gate = RequestGate("coinbase", clock, stop, weight_per_minute=REQUESTS_PER_MINUTE)
        yield Coinbase(session, settings.url, clock, gate)
