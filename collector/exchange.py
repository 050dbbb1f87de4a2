"""What a collector keeps of the exchange over any trouble with Postgres: the session, the clock, and its promises."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from collector.archives import Archives
from collector.binance import INVALID_SYMBOL, Binance
from collector.clock import ExchangeClock
from collector.hosts import Hosts
from collector.rate_limit import RequestGate
from collector.rest import Rest, open_session
from collector.settings import CollectorSettings
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError, UsageError
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

TIME_SECONDS = 30.0
TIME_RETRY_SECONDS = 1.0
LIMITS_SECONDS = 3600.0


@dataclass(frozen=True)
class Exchange:
    """One exchange: its clock, its gate, and the two ways to ask it."""

    stop: asyncio.Event
    session: aiohttp.ClientSession
    clock: ExchangeClock
    gate: RequestGate
    binance: Binance
    archives: Archives

    async def greet(self, symbols: Sequence[str]) -> None:
        """Learn the exchange's time and limits, for as long as that takes.

        Raises UsageError for a symbol that it does not list, Stopping when the service stops first.
        """
        while not self.clock.is_known:
            try:
                await self.binance.measure_time()
            except (ExchangeUnreachableError, ExchangeRefusedError) as error:
                log.warning("exchange_unreachable", reason=str(error))
                # The gate spaces requests that get no answer, but not those that are refused.
                if await wait(self.stop, TIME_RETRY_SECONDS):
                    raise Stopping from error
        await self._learn_limits(symbols)

    async def keep_time(self, symbols: Sequence[str]) -> None:
        """Measure the exchange's time again and again, its limits now and then, and probe failed hosts."""
        limits_at = asyncio.get_running_loop().time() + LIMITS_SECONDS
        pause = TIME_RETRY_SECONDS
        while not await wait(self.stop, pause):
            before_ms = self.clock.now_ms()
            try:
                await self.binance.measure_time()
                await self.binance.probe_resting_hosts()
                if asyncio.get_running_loop().time() >= limits_at:
                    limits_at += LIMITS_SECONDS
                    await self._learn_limits(symbols)
            except (ExchangeUnreachableError, ExchangeRefusedError, UsageError) as error:
                log.warning("exchange_time_unknown", reason=str(error))
                continue
            # A clock that was set, or that runs at another rate than ours, wants to be asked more often.
            went_on_ms = self.clock.now_ms() - before_ms
            pause = TIME_RETRY_SECONDS if abs(went_on_ms) > 2000 else TIME_SECONDS

    async def _learn_limits(self, symbols: Sequence[str]) -> None:
        """Ask for the limits, and so whether the symbols are listed; raises UsageError for one that is not."""
        try:
            limit = await self.binance.weight_limit(symbols)
        except ExchangeUnreachableError as error:
            log.warning("exchange_limits_unknown", reason=str(error))
        except ExchangeRefusedError as error:
            if error.code == INVALID_SYMBOL and len(symbols) > 1:
                # Which of them it is, only the question for one alone tells.
                for symbol in symbols:
                    await self._learn_limits([symbol])
            elif error.code == INVALID_SYMBOL:
                raise UsageError(f"The exchange has no symbol {symbols[0]}; correct COLLECTOR_SYMBOLS.") from error
            else:
                log.warning("exchange_limits_unknown", reason=str(error))
        else:
            if limit is not None:
                self.gate.set_weight_limit(limit)


@asynccontextmanager
async def open_exchange(settings: CollectorSettings, stop: asyncio.Event) -> AsyncIterator[Exchange]:
    """Open the session and what hangs on it; nothing is sent yet."""
    async with open_session() as session:
        clock = ExchangeClock()
        gate = RequestGate(clock, stop, len(settings.rest_urls))
        binance = Binance(Rest(session, Hosts(settings.rest_urls), gate, clock), clock)
        yield Exchange(stop, session, clock, gate, binance, Archives(session, settings.archive_url, gate))
