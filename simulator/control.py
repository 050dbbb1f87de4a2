"""The routes under `/_simulator`: faults, the request log, the clock and the limits, while it runs."""

import json
from typing import Any

from aiohttp import web

from shared.errors import UsageError
from shared.instant import from_milliseconds, parse_instant, to_text
from simulator.answer import json_answer
from simulator.fault import KINDS, from_mapping, parse_fault
from simulator.faults import Faults
from simulator.gate import CONTROL
from simulator.limits import Limiter
from simulator.market import Market
from simulator.request_log import RequestLog
from simulator.stream import Stream


class Control:
    """The handlers; what cannot be used is answered 400 with a sentence in `error`."""

    def __init__(self, market: Market, faults: Faults, limiter: Limiter, log: RequestLog, stream: Stream) -> None:
        self._market = market
        self._faults = faults
        self._limiter = limiter
        self._log = log
        self._stream = stream

    def routes(self) -> list[web.RouteDef]:
        """What an application adds."""
        return [
            web.get(CONTROL, self.status),
            web.get(f"{CONTROL}/faults", self.faults),
            web.post(f"{CONTROL}/faults", self.add_faults),
            web.delete(f"{CONTROL}/faults", self.clear_faults),
            web.delete(f"{CONTROL}/faults/{{number:[0-9]{{1,9}}}}", self.remove_fault),
            web.get(f"{CONTROL}/log", self.log),
            web.delete(f"{CONTROL}/log", self.clear_log),
            web.post(f"{CONTROL}/clock", self.set_clock),
            web.delete(f"{CONTROL}/limits", self.reset_limits),
        ]

    async def status(self, _: web.Request) -> web.Response:
        """What is simulated, and how it stands."""
        return json_answer(
            {
                "now": to_text(from_milliseconds(self._market.now_ms())),
                "speed": self._market.clock.speed,
                "symbols": list(self._market.symbols),
                "stream_connections": self._stream.connections,
                "used_weight": self._limiter.used_weight,
                "faults": self._faults.describe(),
                "kinds": KINDS,
            }
        )

    async def faults(self, _: web.Request) -> web.Response:
        """The faults that stand."""
        return json_answer(self._faults.describe())

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one fault or a list; each is an object, or text as on the command line. Answers their numbers."""
        body = await _body(request)
        wanted = body if isinstance(body, list) else [body]
        try:
            faults = [parse_fault(one) if isinstance(one, str) else from_mapping(_object(one)) for one in wanted]
            return json_answer({"ids": [self._faults.add(fault) for fault in faults]}, status=201)
        except UsageError as error:
            raise _refusal(str(error)) from error

    async def clear_faults(self, _: web.Request) -> web.Response:
        """End all faults."""
        self._faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """End one fault."""
        return web.Response(status=204 if self._faults.remove(int(request.match_info["number"])) else 404)

    async def log(self, request: web.Request) -> web.Response:
        """The requests that came, after number `since`, of paths that begin with `path`."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise _refusal("since must be the number of a request.")
        entries = self._log.since(int(since), request.query.get("path", ""))
        return json_answer([entry.as_json() for entry in entries])

    async def clear_log(self, _: web.Request) -> web.Response:
        """Forget the requests that came."""
        self._log.clear()
        return web.Response(status=204)

    async def set_clock(self, request: web.Request) -> web.Response:
        """Set the exchange's time to `now`, or move it by `advance_seconds`."""
        body = _object(await _body(request))
        now_ms = self._market.clock.now_ms()
        try:
            if "now" in body:
                self._market.clock.set(parse_instant(str(body["now"]), from_milliseconds(now_ms)))
            else:
                self._market.clock.set(now_ms + int(float(body["advance_seconds"]) * 1000))
        except KeyError as error:
            raise _refusal("Send now, or advance_seconds.") from error
        except (ValueError, TypeError, OverflowError) as error:
            raise _refusal(f"The clock cannot be set: {error}.") from error
        return json_answer({"now": to_text(from_milliseconds(self._market.now_ms()))})

    async def reset_limits(self, _: web.Request) -> web.Response:
        """Forget used weight and bans."""
        self._limiter.reset()
        return web.Response(status=204)


async def _body(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise _refusal("The body must be JSON.") from error


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refusal("A JSON object is needed.")
    return value


def _refusal(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": sentence}), content_type="application/json")
