"""Logs each request, and applies the request limits and the faults to it."""

import asyncio

from aiohttp import web

from simulator import request_error
from simulator.fault import HTTP_KINDS, Fault
from simulator.fault_effects import Handler, apply_http_fault, spoil_row
from simulator.faults import Faults
from simulator.limits import Limiter, Refusal
from simulator.market import Market
from simulator.request_error import RequestError
from simulator.request_log import Entry, RequestLog
from simulator.rest import find_weight

CONTROL = "/_simulator"
BAN_SECONDS = 120.0

_ENTRY = web.RequestKey("entry", Entry)


class Middleware:
    """Logs, limits and applies faults to every request but those of the control routes.

    Setting `stopping` ends the answers that a fault keeps waiting.
    """

    def __init__(self, market: Market, faults: Faults, limiter: Limiter, log: RequestLog) -> None:
        self._market = market
        self._faults = faults
        self._limiter = limiter
        self._log = log
        self.stopping = asyncio.Event()

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve a request, refuse it or apply a fault to it."""
        if request.path.startswith(CONTROL):
            return await handler(request)
        entry = self._log.open(
            client=request.remote or "",
            host=request.host,
            method=request.method,
            path=request.path,
            query=request.query_string,
        )
        request[_ENTRY] = entry
        try:
            return await self._serve(request, handler, entry)
        except RequestError as error:
            return error.make_answer()

    async def _serve(self, request: web.Request, handler: Handler, entry: Entry) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            entry.weight = find_weight(request)
            refusal = self._limiter.admit(entry.weight)
            if refusal is not None:
                return self._refuse(refusal)
        fault = self._faults.strike_request(HTTP_KINDS, request.path, request.host)
        if fault is not None:
            entry.fault = fault.kind
            if fault.kind in ("429", "418"):
                return self._start_refusing(fault)
            return await apply_http_fault(fault, request, handler, self.stopping)
        answer = await handler(request)
        if request.path == "/api/v3/klines" and answer.status == 200:
            fault = self._faults.strike_request(("bad_row",), request.path, request.host)
            if fault is not None:
                entry.fault = fault.kind
                return spoil_row(fault, answer, self._faults.random)
        return answer

    def _start_refusing(self, fault: Fault) -> web.Response:
        if fault.kind == "418":
            return self._refuse(self._limiter.ban(fault.seconds_or(BAN_SECONDS)))
        if fault.seconds is None:
            return self._refuse(Refusal(429, 1), with_retry_after=False)
        return self._refuse(self._limiter.refuse(fault.seconds))

    def _refuse(self, refusal: Refusal, *, with_retry_after: bool = True) -> web.Response:
        # The message has the exchange's time, the header real seconds.
        until_ms = self._market.now_ms() + int(refusal.seconds * 1000 * self._market.clock.speed)
        return request_error.make_refusal_answer(
            refusal, self._limiter.limits, until_ms, with_retry_after=with_retry_after
        )

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Log the status, and add the exchange's headers with the used weight."""
        if _ENTRY in request:
            request[_ENTRY].status = response.status
        if request.path.startswith("/api/"):
            response.headers["X-MBX-USED-WEIGHT"] = str(self._limiter.used_weight)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(self._limiter.used_weight)
