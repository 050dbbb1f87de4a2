"""The exchange's questions and answers in our own types: klines, its time, its limits."""

import json
import time
from collections.abc import Sequence
from typing import cast

from collector.clock import ExchangeClock
from collector.hosts import Host
from collector.klines import MINUTE_MS, KlinePage, parse_klines
from collector.rest import LIVE_TIMEOUT_SECONDS, PAGE_TIMEOUT_SECONDS, Request, Rest
from shared.errors import ExchangeUnreachableError
from shared.logging import get_logger

log = get_logger(__name__)

PAGE_LIMIT = 1000
KLINES_WEIGHT = 2
TIME_WEIGHT = 1
INFO_WEIGHT = 20
INVALID_SYMBOL = -1121
# From 1973 to 5138: whatever else a host calls its time is no time in milliseconds.
_TIMES_MS = range(10**11, 10**14)


class Binance:
    """Binance's REST interface, and of others what speaks it."""

    def __init__(self, rest: Rest, clock: ExchangeClock) -> None:
        self._rest = rest
        self.clock = clock
        self._tells_limits = True

    async def klines(self, symbol: str, start_ms: int, end_ms: int, *, urgent: bool = False) -> KlinePage:
        """Return the closed minutes that open in [start_ms, end_ms), at most a page of them.

        What counts as closed is decided before asking: a row that came back may be older than the answer's arrival.
        Raises ExchangeUnreachableError, or ExchangeRefusedError for a symbol that the exchange does not have.
        """
        closed_ms = min(end_ms, self.clock.open_minute_ms())
        rows = await self._rows_until(closed_ms, symbol, start_ms, end_ms, urgent=urgent)
        return parse_klines(rows, start_ms, closed_ms)

    async def newest_klines(self, symbol: str, start_ms: int, end_ms: int) -> tuple[KlinePage, bool]:
        """Return the minutes of [start_ms, end_ms), and whether the exchange already has a minute after them.

        That later minute, open as it may be, proves that those before it are final.
        """
        # The last minute has only just closed, and the one after it may not be there: neither is waited for here.
        rows = await self._rows_until(end_ms - MINUTE_MS, symbol, start_ms, end_ms + MINUTE_MS, urgent=True)
        page = parse_klines(rows, start_ms, end_ms)
        return page, any(time >= end_ms for time in _open_times(rows))

    async def history_end_before(self, symbol: str, end_ms: int) -> int:
        """Return the end of the newest minute that the exchange has before `end_ms`; 0 when its record begins later.

        `end_ms` itself where it says neither: an empty list, or a row that cannot be read, proves nothing.
        """
        rows = await self._rows(symbol, {"endTime": end_ms - 1, "limit": 1}, urgent=False)
        klines = parse_klines(rows, 0, end_ms).klines
        if klines:
            return klines[-1].minute_ms + MINUTE_MS
        oldest = [] if rows else await self._rows(symbol, {"startTime": 0, "limit": 1}, urgent=False)
        listed = parse_klines(oldest, 0, self.clock.now_ms()).klines
        return 0 if listed and listed[0].minute_ms >= end_ms else end_ms

    async def measure_time(self, host: Host | None = None) -> None:
        """Ask for the exchange's time and teach it to the clock; with a host, ask only that one."""
        sent_at = time.monotonic()
        request = Request("/api/v3/time", {}, TIME_WEIGHT, LIVE_TIMEOUT_SECONDS, _tells_time)
        answer = await self._rest.ask(request, only=host)
        # A wait at the gate only widens the interval in which the answer was written, and so stays right.
        self.clock.observe(cast(dict[str, int], answer)["serverTime"], sent_at)

    async def probe_resting_hosts(self) -> None:
        """Ask the hosts that failed and have rested whether they are well, so that no live request has to try them."""
        for host in self._rest.hosts.due_for_probe():
            try:
                await self.measure_time(host)
            except ExchangeUnreachableError:
                continue

    async def weight_limit(self, symbols: Sequence[str]) -> int | None:
        """Return the weight a minute that the exchange allows, None where it does not say.

        Raises ExchangeRefusedError when it does not list one of the symbols.
        """
        if not self._tells_limits:
            return None
        one = len(symbols) == 1
        named = ("symbol", symbols[0]) if one else ("symbols", json.dumps(list(symbols), separators=(",", ":")))
        path = "/api/v3/exchangeInfo"
        answer = await self._rest.ask(
            Request(path, dict([named]), INFO_WEIGHT, PAGE_TIMEOUT_SECONDS, _is_object, may_be_missing=True)
        )
        if not isinstance(answer, dict):
            self._tells_limits = False
            log.info("exchange_tells_no_limits", path=path)
            return None
        limits = answer.get("rateLimits")
        for limit in limits if isinstance(limits, list) else ():
            if isinstance(limit, dict) and limit.get("rateLimitType") == "REQUEST_WEIGHT":
                allowed, interval, count = limit.get("limit"), limit.get("interval"), limit.get("intervalNum")
                if interval == "MINUTE" and isinstance(allowed, int) and isinstance(count, int) and count > 0:
                    return allowed // count
        return None

    async def _rows_until(self, due_ms: int, symbol: str, start_ms: int, end_ms: int, *, urgent: bool) -> list[object]:
        """Return the rows that open in [start_ms, end_ms): what ends before `due_ms` is asked on from its end.

        So a host that gives fewer rows at a time than it was asked for does not make minutes look absent.
        """
        rows: list[object] = []
        while True:
            params = {"startTime": start_ms, "endTime": end_ms - 1, "limit": PAGE_LIMIT}
            more = await self._rows(symbol, params, urgent=urgent)
            rows += more
            last_ms = max((time for time in _open_times(more) if time < end_ms), default=-1)
            if not start_ms <= last_ms < due_ms - MINUTE_MS:
                return rows
            # From the grid: some opens are off the minute by seconds.
            start_ms = last_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS

    async def _rows(self, symbol: str, params: dict[str, int], *, urgent: bool) -> list[object]:
        query: dict[str, str | int] = {"symbol": symbol, "interval": "1m"} | params
        timeout = LIVE_TIMEOUT_SECONDS if urgent else PAGE_TIMEOUT_SECONDS
        rows = await self._rest.ask(Request("/api/v3/klines", query, KLINES_WEIGHT, timeout, _is_list, urgent))
        return cast(list[object], rows)


def _open_times(rows: Sequence[object]) -> list[int]:
    return [row[0] for row in rows if isinstance(row, list) and row and isinstance(row[0], int)]


def _is_list(body: object) -> bool:
    return isinstance(body, list)


def _is_object(body: object) -> bool:
    return isinstance(body, dict)


def _tells_time(body: object) -> bool:
    stated = body.get("serverTime") if isinstance(body, dict) else None
    return isinstance(stated, int) and stated in _TIMES_MS
