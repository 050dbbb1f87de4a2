"""Applies a fault to a request or its answer."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from aiohttp import web

from shared.lifecycle import wait
from simulator import request_error
from simulator.answer import make_json_answer
from simulator.fault import ROW_VARIANTS, Fault
from simulator.kline import MINUTE_MS
from simulator.request_error import RequestError

SLOW_SECONDS = 5.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def apply_http_fault(
    fault: Fault, request: web.Request, handler: Handler, stopping: asyncio.Event
) -> web.StreamResponse:
    """Answer a request under an HTTP fault other than 429 and 418; `stopping` ends a wait."""
    match fault.kind:
        case "timeout":
            await stopping.wait()
            return reset_connection(request)
        case "reset":
            return reset_connection(request)
        case "slow":
            await wait(stopping, fault.seconds_or(SLOW_SECONDS))
            return await handler(request)
        case "truncated":
            return await send_half(request, await handler(request))
        case _:
            return make_fault_answer(fault.kind)


def make_fault_answer(kind: str) -> web.Response:
    """Return the answer of a fault of this kind, which does not depend on the request."""
    match kind:
        case "403":
            return web.Response(status=403, text=request_error.HTML_FORBIDDEN, content_type="text/html")
        case "404":
            return web.Response(status=404, text="Not Found")
        case "451":
            return RequestError(0, request_error.RESTRICTED, 451).make_answer()
        case "500":
            return RequestError(-1000, "An unknown error occured while processing the request.", 500).make_answer()
        case "502":
            return web.Response(status=502, text=request_error.HTML_BAD_GATEWAY, content_type="text/html")
        case "503":
            message = "Server is currently overloaded with other requests. Please try again in a few minutes."
            return RequestError(-1008, message, 503).make_answer()
        case "malformed_json":
            return web.Response(text='[[1634943780000,"60685.22', content_type="application/json")
        case "empty":
            return make_json_answer([])
        case _:
            raise AssertionError(f"no answer for the fault {kind}")


def reset_connection(request: web.Request) -> web.Response:
    """Reset the connection; the returned answer is never sent."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # Lingering for zero seconds makes the close a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def send_half(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    """Announce the length of the whole body, send half of it and close the connection."""
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"[[1634943780000,"
    answer = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    answer.content_length = max(len(body), 2)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


def spoil_row(fault: Fault, answer: web.StreamResponse, random: Random) -> web.StreamResponse:
    """Make one row of a klines answer malformed; an answer without rows is returned unchanged."""
    rows = json.loads(answer.body) if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else []
    if not isinstance(rows, list) or not rows:
        return answer
    at = random.randrange(len(rows))
    rows[at] = make_malformed_row(rows[at], fault.variant or random.choice(ROW_VARIANTS))
    return make_json_answer(rows)


def make_malformed_row(row: list[Any], variant: str) -> Any:
    """Return a row of twelve fields made malformed in one of the ways of `ROW_VARIANTS`."""
    open_time, opened, high, low, close = row[:5]
    match variant:
        case "missing_field":
            return row[:4] + row[5:]
        case "nan":
            return [open_time, opened, high, low, "NaN", *row[5:]]
        case "null":
            return [open_time, None, high, low, close, *row[5:]]
        case "wrong_type":
            return [open_time, opened, {"price": high}, low, close, *row[5:]]
        case "negative":
            return [open_time, opened, high, low, close, "-1.00000000", *row[6:]]
        case "high_below_low":
            return [open_time, opened, low, f"{float(high) * 1.01:.8f}", close, *row[5:]]
        case "off_grid":
            return [open_time + MINUTE_MS // 4, *row[1:]]
        case "not_a_list":
            return {"openTime": open_time, "close": close}
        case _:
            raise AssertionError(f"no such malformed row: {variant}")
