"""Binance spot: klines by REST and stream, and years of them from its archives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from collector.sources.binance.archives import Archives
from collector.sources.binance.rest import Rest
from collector.sources.binance.settings import BinanceSettings as SourceSettings
from collector.sources.binance.source import DEFAULT_WEIGHT_PER_MINUTE, PAGE_LIMIT, Binance
from collector.sources.binance.stream import Stream
from collector.sources.clock import ExchangeClock
from collector.sources.hosts import Hosts
from collector.sources.request_gate import RequestGate
from collector.sources.session import open_session
from shared.symbols import BINANCE

__all__ = ["SourceSettings", "open_source"]


@asynccontextmanager
async def open_source(settings: SourceSettings, stop: asyncio.Event) -> AsyncIterator[Binance]:
    """Open the session and what hangs on it; nothing is sent yet."""
    async with open_session() as session:
        clock = ExchangeClock()
        hosts = Hosts(settings.rest_urls)
        gate = RequestGate(BINANCE, clock, stop, weight_per_minute=DEFAULT_WEIGHT_PER_MINUTE, hosts=len(hosts))
        yield Binance(
            name=BINANCE,
            label=settings.source,
            clock=clock,
            gate=gate,
            rest=Rest(session, hosts, gate, clock),
            archives=Archives(session, settings.archive_url, settings.source, gate, PAGE_LIMIT),
            stream=Stream(session, settings.stream_url, gate) if settings.stream_url else None,
        )
