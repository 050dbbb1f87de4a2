"""Handles the routes under `/_simulator`, which steer faults, request log, clock and limits while it runs."""

import json
from typing import Any

from aiohttp import web

from shared.errors import UsageError
from shared.instant import from_milliseconds, parse_instant, to_text
from simulator.answer import make_json_answer
from simulator.fault import KINDS, parse_fault, read_fault
from simulator.faults import Faults
from simulator.limits import Limiter
from simulator.market import Market
from simulator.middleware import CONTROL
from simulator.request_log import RequestLog
from simulator.stream import Stream


class Control:
    """The handlers; they answer a request that they cannot use with 400 and a sentence in `error`."""

    def __init__(self, market: Market, faults: Faults, limiter: Limiter, log: RequestLog, stream: Stream) -> None:
        self._market = market
        self._faults = faults
        self._limiter = limiter
        self._log = log
        self._stream = stream

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
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
        """Answer with what is simulated and its state."""
        return make_json_answer(
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
        """Answer with the active faults."""
        return make_json_answer(self._faults.describe())

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one fault or a list; each is an object, or text as on the command line. Answers with their numbers."""
        body = await _read_body(request)
        items = body if isinstance(body, list) else [body]
        try:
            faults = [parse_fault(item) if isinstance(item, str) else read_fault(_check_object(item)) for item in items]
            return make_json_answer({"ids": [self._faults.add(fault) for fault in faults]}, status=201)
        except UsageError as error:
            raise _make_bad_request(str(error)) from error

    async def clear_faults(self, _: web.Request) -> web.Response:
        """End all faults."""
        self._faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """End one fault."""
        return web.Response(status=204 if self._faults.remove(int(request.match_info["number"])) else 404)

    async def log(self, request: web.Request) -> web.Response:
        """Answer with the logged requests after number `since` whose path begins with `path`."""
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise _make_bad_request("since must be the number of a request.")
        entries = self._log.since(int(since), request.query.get("path", ""))
        return make_json_answer([entry.as_json() for entry in entries])

    async def clear_log(self, _: web.Request) -> web.Response:
        """Clear the request log."""
        self._log.clear()
        return web.Response(status=204)

    async def set_clock(self, request: web.Request) -> web.Response:
        """Set the exchange's time to `now`, or move it by `advance_seconds`."""
        body = _check_object(await _read_body(request))
        now_ms = self._market.clock.now_ms()
        try:
            if "now" in body:
                self._market.clock.set(parse_instant(str(body["now"]), from_milliseconds(now_ms)))
            else:
                self._market.clock.set(now_ms + int(float(body["advance_seconds"]) * 1000))
        except KeyError as error:
            raise _make_bad_request("The body must have now or advance_seconds.") from error
        except (ValueError, TypeError, OverflowError) as error:
            raise _make_bad_request(f"The clock cannot be set: {error}.") from error
        return make_json_answer({"now": to_text(from_milliseconds(self._market.now_ms()))})

    async def reset_limits(self, _: web.Request) -> web.Response:
        """Reset the used weight and end bans."""
        self._limiter.reset()
        return web.Response(status=204)


async def _read_body(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise _make_bad_request("The body must be JSON.") from error


def _check_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _make_bad_request("The body must be a JSON object.")
    return value


def _make_bad_request(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": sentence}), content_type="application/json")
