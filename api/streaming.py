"""Answers of unknown length, which a failure cuts off visibly."""

from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.notes import get_notes
from shared.errors import DatabaseError
from shared.logging import get_logger

log = get_logger(__name__)


class StreamedResponse(Response):
    """Sends chunks as they come; when the database fails in between, the connection ends without the last chunk."""

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        # Not `super().__init__`, which would set a body and its length.
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.init_headers({"cache-control": "no-cache", **headers})
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; stop computing when the reader has gone."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if not get_notes(scope).wants_head:
            request = Request(scope, receive)
            try:
                async for chunk in self._chunks:
                    if await request.is_disconnected():
                        return
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except DatabaseError as error:
                log.warning("stream_cut", path=scope["path"], reason=str(error))
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
