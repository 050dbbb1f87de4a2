"""Binance as a source: its questions and answers in the collector's own types."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from collector.klines import KlinePage
from collector.sources.binance.archives import Archives
from collector.sources.binance.klines import parse_klines
from collector.sources.binance.rest import LIVE_TIMEOUT_SECONDS, PAGE_TIMEOUT_SECONDS, Request, Rest
from collector.sources.binance.stream import Stream
from collector.sources.clock import ExchangeClock
from collector.sources.hosts import Host
from collector.sources.request_gate import RequestGate
from collector.sources.source import CloseListener, Part
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError, UsageError
from shared.instant import EPOCH, MINUTE, from_milliseconds, to_milliseconds
from shared.logging import get_logger
from shared.runs import Run

log = get_logger(__name__)

PAGE_LIMIT = 1000
KLINES_WEIGHT = 2
TIME_WEIGHT = 1
INFO_WEIGHT = 20
DEFAULT_WEIGHT_PER_MINUTE = 1200
INVALID_SYMBOL = -1121
# From 1973 to 5138: whatever else a host calls its time is no time in milliseconds.
_TIMES_MS = range(10**11, 10**14)


@dataclass
class Binance:
    """Binance's REST interface, archives and stream, any of which but the first may be turned off."""

    name: str
    label: str
    clock: ExchangeClock
    gate: RequestGate
    rest: Rest
    archives: Archives
    stream: Stream | None
    tells_limits: bool = True
    page_minutes: int = PAGE_LIMIT

    async def measure_time(self) -> None:
        """Ask for the exchange's time and teach it to the clock."""
        await self._measure_time(None)

    async def probe_hosts(self) -> None:
        """Ask the hosts that failed and have rested whether they are well, so that no live request has to try them."""
        for host in self.rest.hosts.list_due_for_probe():
            try:
                await self._measure_time(host)
            except ExchangeUnreachableError:
                continue

    async def fetch_page(self, name: str, asked: Run, *, urgent: bool = False) -> KlinePage:
        """Return what one question for `asked` brings: the oldest rows of it, at most PAGE_LIMIT of them."""
        start_ms, end_ms = (to_milliseconds(bound) for bound in asked)
        params = {"startTime": start_ms, "endTime": end_ms - 1, "limit": PAGE_LIMIT}
        return parse_klines(await self._fetch_rows(name, params, urgent=urgent))

    async def find_history_end(self, name: str, before: datetime) -> datetime:
        """Return the end of the newest minute before `before`, or the first instant where the record begins later.

        `before` itself where it says neither: an empty list, or a row that cannot be read, proves nothing.
        """
        rows = await self._fetch_rows(name, {"endTime": to_milliseconds(before) - 1, "limit": 1})
        earlier = [kline.minute for kline in parse_klines(rows).klines if kline.minute < before]
        if earlier:
            return max(earlier) + MINUTE
        oldest = [] if rows else await self._fetch_rows(name, {"startTime": 0, "limit": 1})
        listed = [kline.minute for kline in parse_klines(oldest).klines if kline.minute < self.clock.now()]
        return EPOCH if listed and min(listed) >= before else before

    def choose_part(self, name: str, hole: Run) -> Part:
        """Return the newest part of a hole, and the archive to take it from where one pays."""
        return self.archives.choose_part(name, hole, self.clock.now())

    async def follow_closes(self, names: Sequence[str], listener: CloseListener, stop: asyncio.Event) -> None:
        """Tell of each minute as it closes, until `stop`."""
        if self.stream:
            await self.stream.follow(names, listener, stop)

    async def learn_limits(self, names: Sequence[str]) -> None:
        """Ask for the limits, and so whether the symbols are listed; raises UsageError for one that is not."""
        try:
            limit = await self.fetch_weight_limit(names)
        except ExchangeRefusedError as error:
            if error.code != INVALID_SYMBOL:
                raise
            if len(names) == 1:
                raise UsageError(f"The exchange has no symbol {names[0]}; correct COLLECTOR_SYMBOLS.") from error
            # Which of them it is, only the question for one alone tells.
            for name in names:
                await self.learn_limits([name])
        else:
            if limit is not None:
                self.gate.set_weight_limit(limit)

    async def fetch_weight_limit(self, names: Sequence[str]) -> int | None:
        """Return the weight a minute that the exchange allows, None where it does not say.

        Raises ExchangeRefusedError when it does not list one of the symbols.
        """
        if not self.tells_limits:
            return None
        one = len(names) == 1
        named = ("symbol", names[0]) if one else ("symbols", json.dumps(list(names), separators=(",", ":")))
        path = "/api/v3/exchangeInfo"
        answer = await self.rest.ask(
            Request(path, dict([named]), INFO_WEIGHT, PAGE_TIMEOUT_SECONDS, _is_object, may_be_missing=True)
        )
        if not isinstance(answer, dict):
            self.tells_limits = False
            log.info("exchange_tells_no_limits", path=path)
            return None
        limits = answer.get("rateLimits")
        for limit in limits if isinstance(limits, list) else ():
            if isinstance(limit, dict) and limit.get("rateLimitType") == "REQUEST_WEIGHT":
                allowed, interval, count = limit.get("limit"), limit.get("interval"), limit.get("intervalNum")
                if interval == "MINUTE" and isinstance(allowed, int) and isinstance(count, int) and count > 0:
                    return allowed // count
        return None

    async def _measure_time(self, host: Host | None) -> None:
        sent_at = time.monotonic()
        request = Request("/api/v3/time", {}, TIME_WEIGHT, LIVE_TIMEOUT_SECONDS, _tells_time)
        answer = await self.rest.ask(request, only=host)
        # A wait at the gate only widens the interval in which the answer was written, and so stays right.
        self.clock.observe(from_milliseconds(cast(dict[str, int], answer)["serverTime"]), sent_at)

    async def _fetch_rows(self, name: str, params: dict[str, int], *, urgent: bool = False) -> list[object]:
        query: dict[str, str | int] = {"symbol": name, "interval": "1m"} | params
        timeout = LIVE_TIMEOUT_SECONDS if urgent else PAGE_TIMEOUT_SECONDS
        rows = await self.rest.ask(Request("/api/v3/klines", query, KLINES_WEIGHT, timeout, _is_list, urgent))
        return cast(list[object], rows)


def _is_list(body: object) -> bool:
    return isinstance(body, list)


def _is_object(body: object) -> bool:
    return isinstance(body, dict)


def _tells_time(body: object) -> bool:
    stated = body.get("serverTime") if isinstance(body, dict) else None
    return isinstance(stated, int) and stated in _TIMES_MS
