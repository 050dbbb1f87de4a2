"""What a fault does to a request and its answer."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from aiohttp import web

from shared.lifecycle import wait
from simulator import complaint
from simulator.answer import json_answer
from simulator.complaint import ComplaintError
from simulator.fault import ROW_VARIANTS, Fault
from simulator.kline import MINUTE_MS

SLOW_SECONDS = 5.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def misbehave(
    fault: Fault, request: web.Request, handler: Handler, stopping: asyncio.Event
) -> web.StreamResponse:
    """Answer a request as an HTTP fault other than 429 and 418 would have it."""
    match fault.kind:
        case "timeout":
            await stopping.wait()
            return reset(request)
        case "reset":
            return reset(request)
        case "slow":
            await wait(stopping, fault.seconds_or(SLOW_SECONDS))
            return await handler(request)
        case "truncated":
            return await truncated(request, await handler(request))
        case _:
            return canned_answer(fault.kind)


def canned_answer(kind: str) -> web.Response:
    """The answer of a fault that needs nothing of the request."""
    match kind:
        case "403":
            return web.Response(status=403, text=complaint.HTML_FORBIDDEN, content_type="text/html")
        case "404":
            return web.Response(status=404, text="Not Found")
        case "451":
            return ComplaintError(0, complaint.RESTRICTED, 451).answer()
        case "500":
            return ComplaintError(-1000, "An unknown error occured while processing the request.", 500).answer()
        case "502":
            return web.Response(status=502, text=complaint.HTML_BAD_GATEWAY, content_type="text/html")
        case "503":
            message = "Server is currently overloaded with other requests. Please try again in a few minutes."
            return ComplaintError(-1008, message, 503).answer()
        case "malformed_json":
            return web.Response(text='[[1634943780000,"60685.22', content_type="application/json")
        case "empty":
            return json_answer([])
        case _:
            raise AssertionError(f"no answer for the fault {kind}")


def reset(request: web.Request) -> web.Response:
    """Reset the connection; the answer returned reaches nobody."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # Lingering for zero seconds makes the close a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def truncated(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    """Announce the whole body, send half of it and end the connection."""
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"[[1634943780000,"
    answer = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    answer.content_length = max(len(body), 2)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


def spoil_row(fault: Fault, answer: web.StreamResponse, random: Random) -> web.StreamResponse:
    """Make one row of a klines answer malformed; an answer without rows stays."""
    rows = json.loads(answer.body) if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else []
    if not isinstance(rows, list) or not rows:
        return answer
    at = random.randrange(len(rows))
    rows[at] = malformed_row(rows[at], fault.variant or random.choice(ROW_VARIANTS))
    return json_answer(rows)


def malformed_row(row: list[Any], variant: str) -> Any:
    """A row of the exchange's twelve fields, spoilt in one of `ROW_VARIANTS`."""
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
