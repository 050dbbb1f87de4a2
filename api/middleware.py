"""What surrounds every request: an id, the log of slow and failed ones, HEAD. Plain ASGI, as all pay for it."""

import itertools
import re
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.notes import begin_notes, get_notes
from api.problems import make_internal_error_problem
from shared.logging import get_logger

log = get_logger(__name__)

_SLOW_SECONDS = 1.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class ObserveMiddleware:
    """Gives a request its id, logs it when it is slow or fails, and turns what nobody caught into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        notes = begin_notes(scope)
        began = time.perf_counter()
        seconds = 0.0
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal seconds, status
            if message["type"] == "http.response.start":
                # To the first byte: a table may stream for long without anyone waiting.
                seconds = time.perf_counter() - began
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request_failed", path=scope["path"], request_id=request_id)
            if status:
                # The answer has begun: returning without its end cuts the connection, so that it cannot look whole.
                return
            await make_internal_error_problem(request_id).response(scope["path"])(scope, receive, send_with_headers)
            return
        if seconds > _SLOW_SECONDS or status >= 500:
            fields = {"path": scope["path"], "query": scope["query_string"].decode("latin-1")[:500], "status": status}
            if notes.reason is not None:
                fields["reason"] = notes.reason
            event = "request_unavailable" if status >= 500 else "request_slow"
            log.warning(event, seconds=round(seconds, 3), request_id=request_id, **fields)

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return str(value.decode("ascii"))
        return f"{self._prefix}-{next(self._numbers):x}"


class HeadMiddleware:
    """Answers HEAD as GET without the body; the length stays where it is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A streamed answer then ends after its headers.
        get_notes(scope).wants_head = True
        await self._app({**scope, "method": "GET"}, receive, send_without_body)
