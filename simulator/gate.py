"""What every request passes before it is served: the log, the limits and the faults."""

import asyncio

from aiohttp import web

from simulator import complaint
from simulator.complaint import ComplaintError
from simulator.fault import HTTP_KINDS, Fault
from simulator.faults import Faults
from simulator.limits import Limiter, Refusal
from simulator.market import Market
from simulator.misbehaviour import Handler, misbehave, spoil_row
from simulator.request_log import Entry, RequestLog
from simulator.rest import weight_of

CONTROL = "/_simulator"
BAN_SECONDS = 120.0

_ENTRY = web.RequestKey("entry", Entry)


class Gate:
    """Logs, limits and spoils requests; control routes pass untouched. `stopping` ends answers that hang on purpose."""

    def __init__(self, market: Market, faults: Faults, limiter: Limiter, log: RequestLog) -> None:
        self._market = market
        self._faults = faults
        self._limiter = limiter
        self._log = log
        self.stopping = asyncio.Event()

    async def pass_through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve a request, or refuse or spoil it."""
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
        except ComplaintError as error:
            return error.answer()

    async def _serve(self, request: web.Request, handler: Handler, entry: Entry) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            entry.weight = weight_of(request)
            refusal = self._limiter.admit(entry.weight)
            if refusal is not None:
                return self._refuse(refusal)
        fault = self._faults.strike_request(HTTP_KINDS, request.path, request.host)
        if fault is not None:
            entry.fault = fault.kind
            if fault.kind in ("429", "418"):
                return self._start_refusing(fault)
            return await misbehave(fault, request, handler, self.stopping)
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
            return self._refuse(Refusal(429, 1), say_when=False)
        return self._refuse(self._limiter.refuse(fault.seconds))

    def _refuse(self, refusal: Refusal, *, say_when: bool = True) -> web.Response:
        # The message names the exchange's time, the header counts real seconds.
        until_ms = self._market.now_ms() + int(refusal.seconds * 1000 * self._market.clock.speed)
        return complaint.refusal_answer(refusal, self._limiter.limits, until_ms, say_when=say_when)

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Note the status, and say the weight used as the exchange does."""
        if _ENTRY in request:
            request[_ENTRY].status = response.status
        if request.path.startswith("/api/"):
            response.headers["X-MBX-USED-WEIGHT"] = str(self._limiter.used_weight)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(self._limiter.used_weight)
