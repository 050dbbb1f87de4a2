"""The exchange's REST interface: fail-over between hosts, obedience to its limits, and answers in our own types."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import aiohttp

from collector.clock import ExchangeClock
from collector.hosts import Host, Hosts
from collector.klines import MINUTE_MS, KlinePage, parse_klines
from collector.rate_limit import RequestGate, pause_from_answer
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError
from shared.logging import get_logger

log = get_logger(__name__)

PAGE_LIMIT = 1000
# Fewer rows than asked for can be all there are, or all that a host gives at a time; no host gives fewer than these.
SMALLEST_PAGE = 100
KLINES_WEIGHT = 2
TIME_WEIGHT = 1
INFO_WEIGHT = 20
INVALID_SYMBOL = -1121
TOO_MANY_REQUESTS = -1003
# A page of 1,000 rows is 150 kB; a host that cannot give a few rows in three seconds is as good as down.
PAGE_TIMEOUT_SECONDS = 10.0
LIVE_TIMEOUT_SECONDS = 3.0
CONNECT_TIMEOUT_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
# From 1973 to 5138: whatever else a host calls its time is no time in milliseconds.
_TIMES_MS = range(10**11, 10**14)


@dataclass(frozen=True)
class Request:
    """What to ask: a path, what it weighs, how long it may take, and what tells a good answer from nonsense."""

    path: str
    params: dict[str, str | int]
    weight: int
    timeout_seconds: float
    is_good: Callable[[object], bool]
    urgent: bool = True
    may_be_missing: bool = False  # whether an exchange is well that does not know the path


@dataclass(frozen=True)
class Answer:
    """What a host said: its status, the parsed body (None where it is not JSON) and the headers that matter."""

    status: int
    body: object
    weight_used: int | None
    retry_after: str | None


class Binance:
    """Asks whichever host answers; every request passes the gate."""

    def __init__(self, session: aiohttp.ClientSession, hosts: Hosts, gate: RequestGate, clock: ExchangeClock) -> None:
        self._session = session
        self._hosts = hosts
        self.gate = gate
        self.clock = clock

    async def klines(self, symbol: str, start_ms: int, end_ms: int, *, urgent: bool = False) -> KlinePage:
        """Return the closed minutes that open in [start_ms, end_ms), at most the first 1,000 of them.

        What counts as closed is decided before asking: a row that came back may be older than the answer's arrival.
        Raises ExchangeUnreachableError, or ExchangeRefusedError for a symbol that the exchange does not have.
        """
        closed_ms = min(end_ms, self.clock.open_minute_ms())
        rows = await self._rows_to_end(symbol, start_ms, end_ms, urgent=urgent)
        return parse_klines(rows, start_ms, closed_ms)

    async def newest_klines(self, symbol: str, start_ms: int, end_ms: int) -> tuple[KlinePage, bool]:
        """Return the minutes of [start_ms, end_ms), and whether the exchange already has a minute after them.

        That later minute, open as it may be, proves that those before it are final.
        """
        rows = await self._rows_to_end(symbol, start_ms, end_ms + MINUTE_MS, urgent=True)
        page = parse_klines(rows, start_ms, end_ms)
        return page, any(time >= end_ms for time in map(_open_time, rows) if time is not None)

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
        answer = await self._ask(Request("/api/v3/time", {}, TIME_WEIGHT, LIVE_TIMEOUT_SECONDS, _tells_time), only=host)
        # A wait at the gate only widens the interval in which the answer was written, and so stays right.
        self.clock.observe(cast(dict[str, int], answer)["serverTime"], sent_at)

    async def probe_resting_hosts(self) -> None:
        """Ask the hosts that failed and have rested whether they are well, so that no live request has to try them."""
        for host in self._hosts.due_for_probe():
            try:
                await self.measure_time(host)
            except ExchangeUnreachableError:
                continue

    async def weight_limit(self, symbol: str) -> int | None:
        """Return the weight a minute that the exchange allows, None where it does not say.

        Raises ExchangeRefusedError when it does not list the symbol.
        """
        path = "/api/v3/exchangeInfo"
        answer = await self._ask(
            Request(path, {"symbol": symbol}, INFO_WEIGHT, PAGE_TIMEOUT_SECONDS, _is_object, may_be_missing=True)
        )
        limits = cast(dict[str, object], answer).get("rateLimits")
        for limit in limits if isinstance(limits, list) else ():
            if isinstance(limit, dict) and limit.get("rateLimitType") == "REQUEST_WEIGHT":
                allowed, interval, count = limit.get("limit"), limit.get("interval"), limit.get("intervalNum")
                if interval == "MINUTE" and isinstance(allowed, int) and isinstance(count, int) and count > 0:
                    return allowed // count
        return None

    async def _rows_to_end(self, symbol: str, start_ms: int, end_ms: int, *, urgent: bool) -> list[object]:
        """Return the rows that open in [start_ms, end_ms): an answer that ends before is asked on from its end.

        So a host that gives fewer rows at a time than it was asked for does not make minutes look absent.
        """
        rows: list[object] = []
        while start_ms < end_ms:
            params = {"startTime": start_ms, "endTime": end_ms - 1, "limit": PAGE_LIMIT}
            more = await self._rows(symbol, params, urgent=urgent)
            rows += more
            if not SMALLEST_PAGE <= len(more) < (end_ms - start_ms) // MINUTE_MS:
                break
            last_ms = max((time for time in map(_open_time, more) if time is not None), default=start_ms)
            if last_ms < start_ms:
                break
            start_ms = last_ms + MINUTE_MS
        return rows

    async def _rows(self, symbol: str, params: dict[str, int], *, urgent: bool) -> list[object]:
        query: dict[str, str | int] = {"symbol": symbol, "interval": "1m"} | params
        timeout = LIVE_TIMEOUT_SECONDS if urgent else PAGE_TIMEOUT_SECONDS
        rows = await self._ask(Request("/api/v3/klines", query, KLINES_WEIGHT, timeout, _is_list, urgent))
        return cast(list[object], rows)

    async def _ask(self, request: Request, only: Host | None = None) -> object:
        """Ask hosts in turn until one answers usably; after as many failures as there are hosts, raise."""
        reason = ""
        failed: dict[str, str] = {}
        attempts = 1 if only else len(self._hosts)
        while attempts > 0:
            await self.gate.admit(request.weight, urgent=request.urgent)
            host = only or self._hosts.choose()
            try:
                answer = await self._send(host, request)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                reason = str(error) or type(error).__name__
            else:
                if self._is_limit(answer):
                    continue
                if answer.status == 200 and request.is_good(answer.body):
                    self._succeeded(host, answer)
                    if failed:
                        log.warning("host_failed_over", to=host.url, failed=failed)
                    return answer.body
                if answer.status == 400 and isinstance(answer.body, dict) and "code" in answer.body:
                    self._succeeded(host, answer)
                    raise ExchangeRefusedError(
                        f"The exchange refuses {request.path} for {request.params.get('symbol', 'no symbol')}: "
                        f"{answer.body.get('msg')} (code {answer.body['code']})",
                        code=answer.body["code"],
                    )
                if answer.status == 404 and request.may_be_missing:
                    self._succeeded(host, answer)
                    raise ExchangeRefusedError(f"The exchange has no {request.path}.")
                reason = f"HTTP {answer.status}" if answer.status != 200 else "an answer that is not what was asked for"
            attempts -= 1
            self._hosts.failed(host)
            failed[host.url] = reason
            if not only:
                # What a probe finds of a host that rests says nothing of the one in use.
                self.gate.failed()
        raise ExchangeUnreachableError(
            f"No host of the exchange answers (the last: {reason}); check the network and COLLECTOR_REST_URLS."
        )

    def _succeeded(self, host: Host, answer: Answer) -> None:
        self.gate.answered(answer.weight_used)
        self._hosts.succeeded(host)

    def _is_limit(self, answer: Answer) -> bool:
        """Obey "too many requests", which holds for our address and so for every host."""
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status not in {429, 418} and body.get("code") != TOO_MANY_REQUESTS:
            return False
        message = str(body.get("msg", ""))
        now_ms = self.clock.now_ms() if self.clock.is_known else None
        seconds = pause_from_answer(answer.status, answer.retry_after, message, now_ms)
        self.gate.pause(seconds, f"HTTP {answer.status} {message}".strip())
        return True

    async def _send(self, host: Host, request: Request) -> Answer:
        # While hosts fail, one that hangs must not eat the time in which the others could be tried.
        seconds = LIVE_TIMEOUT_SECONDS if self.gate.is_failing else request.timeout_seconds
        bound = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_TIMEOUT_SECONDS)
        async with self._session.get(host.url + request.path, params=request.params, timeout=bound) as response:
            content = await response.content.read(LARGEST_ANSWER_BYTES)
            while not response.content.at_eof():
                if len(content) >= LARGEST_ANSWER_BYTES:
                    raise ValueError("an answer larger than any page")
                content += await response.content.read(LARGEST_ANSWER_BYTES)
            weight = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
            return Answer(
                response.status,
                _parse_json(content),
                int(weight) if weight.isdigit() else None,
                response.headers.get("Retry-After"),
            )


def open_session() -> aiohttp.ClientSession:
    """Open the HTTP session that all requests to the exchange share; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16, ttl_dns_cache=60, enable_cleanup_closed=False),
        headers={"User-Agent": "minutebook"},
        trust_env=True,
    )


def _parse_json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _is_list(body: object) -> bool:
    return isinstance(body, list)


def _is_object(body: object) -> bool:
    return isinstance(body, dict)


def _tells_time(body: object) -> bool:
    stated = body.get("serverTime") if isinstance(body, dict) else None
    return isinstance(stated, int) and stated in _TIMES_MS


def _open_time(row: object) -> int | None:
    return row[0] if isinstance(row, list) and row and isinstance(row[0], int) else None
