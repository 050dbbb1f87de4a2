"""One stream connection: its subscriptions, its messages, and the frames that wait to be sent to it."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import WSMsgType, web

# A client with so many waiting frames does not read, and is disconnected, as on the exchange.
FRAMES_WAITING_MAX = 10_000


class Subscriber:
    """A client of the stream; the handler that made the WebSocket closes it."""

    def __init__(self, socket: web.WebSocketResponse, streams: Iterable[str], *, combined: bool) -> None:
        self.streams = dict.fromkeys(streams)
        self.combined = combined
        self._socket = socket
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(FRAMES_WAITING_MAX)

    def send(self, frame: str) -> None:
        """Queue a frame; disconnects a client that does not read."""
        if self._waiting.qsize() >= FRAMES_WAITING_MAX - 1:
            self.disconnect()
        else:
            self._waiting.put_nowait(frame)

    def disconnect(self) -> None:
        """Close the connection once the waiting frames are sent."""
        if not self._waiting.full():
            self._waiting.put_nowait(None)

    async def run(self) -> None:
        """Send frames and answer messages until either side closes the connection."""
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_waiting(), name="stream_sender")
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self.send(json.dumps(self.answer(message.data)))
            sender.cancel()

    async def _send_waiting(self) -> None:
        while (frame := await self._waiting.get()) is not None:
            try:
                await self._socket.send_str(frame)
            except ConnectionError:
                break
        await self._socket.close()

    def answer(self, text: str) -> dict[str, Any]:
        """Carry out a message (SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS); returns the reply."""
        try:
            message = json.loads(text)
        except ValueError:
            return _make_error(3, "Invalid JSON: expected value")
        if not isinstance(message, dict):
            return _make_error(2, "Invalid request: expected an object")
        reply: dict[str, Any] = {"result": None, "id": message.get("id")}
        parameters = message.get("params", [])
        if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
            return _make_error(2, "Invalid request: params must be a list of stream names")
        match message.get("method"):
            case "SUBSCRIBE":
                self.streams.update(dict.fromkeys(parameters))
            case "UNSUBSCRIBE":
                for name in parameters:
                    self.streams.pop(name, None)
            case "LIST_SUBSCRIPTIONS":
                reply["result"] = list(self.streams)
            case _:
                return _make_error(2, "Invalid request: unknown variant of method")
        return reply


def _make_error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "msg": message}}
