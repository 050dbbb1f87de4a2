"""Binance's stream, which reports a minute as soon as it closes. It only makes minutes sooner; REST is the truth."""

import asyncio
import json
from collections.abc import Sequence

import aiohttp

from collector.klines import Refusal, show_row
from collector.sources.binance.klines import parse_klines
from collector.sources.request_gate import RequestGate
from collector.sources.retry_after import choose_pause
from collector.sources.source import CloseListener
from shared.backoff import Backoff
from shared.instant import MILLISECOND, MINUTE, from_milliseconds
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

# Every minute ends in a push, so a minute and a half of silence means that the socket is dead without saying so.
IDLE_SECONDS = 90.0
HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 20.0
CLOSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LARGEST_FRAME_BYTES = 1024 * 1024
# In milliseconds since 1970: the year 5138.
_LATEST_MS = 10**14


class Stream:
    """The host of the stream."""

    def __init__(self, session: aiohttp.ClientSession, url: str, gate: RequestGate) -> None:
        self._session = session
        self._url = url
        self._gate = gate

    async def follow(self, names: Sequence[str], listener: CloseListener, stop: asyncio.Event) -> None:
        """Listen until `stop`, and come back whenever the connection ends, for whatever reason.

        A pause that the exchange asks for holds here too.
        """
        streams = "/".join(f"{name.lower()}@kline_1m" for name in names)
        # The combined form first; a server that only knows the raw one gets its turn after a failed handshake.
        urls = (f"{self._url}/stream?streams={streams}", f"{self._url}/ws/{streams}")
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        in_vain = 0
        while not stop.is_set():
            reason = "closed"
            has_heard = False
            try:
                await self._gate.admit(0, urgent=True)
                has_heard = await self._listen(urls[in_vain % len(urls)], frozenset(names), listener, stop)
            except Stopping:
                break
            except aiohttp.WSServerHandshakeError as error:
                reason = f"HTTP {error.status}"
                if error.status in {429, 418}:
                    asked = error.headers.get("Retry-After") if error.headers else None
                    self._gate.pause(choose_pause(error.status, asked), f"{reason} from the stream")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
            if has_heard:
                backoff.reset()
            in_vain = 0 if has_heard else in_vain + 1
            if not stop.is_set():
                pause = backoff.next()
                log.warning("stream_ended", reason=reason, again_in_seconds=round(pause, 2))
                await wait(stop, pause)

    async def _listen(self, url: str, names: frozenset[str], listener: CloseListener, stop: asyncio.Event) -> bool:
        """Hear one connection out; returns whether it ever said anything of use."""
        heard = False
        async with (
            asyncio.timeout(HANDSHAKE_SECONDS) as handshake,
            self._session.ws_connect(
                url,
                heartbeat=PING_SECONDS,
                max_msg_size=LARGEST_FRAME_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            ) as socket,
        ):
            handshake.reschedule(None)
            log.info("stream_connected", url=url)
            while True:
                message = await _next_message(socket, stop)
                if message is None or message.type is not aiohttp.WSMsgType.TEXT:
                    return heard
                event = _parse_event(message.data)
                if event.get("e") == "serverShutdown":
                    return heard
                if event.get("e") == "kline":
                    heard = True
                    await _take_event(event, names, listener)


async def _take_event(event: dict[str, object], names: frozenset[str], listener: CloseListener) -> None:
    told_ms, kline = event.get("E"), event.get("k")
    if not isinstance(told_ms, int) or not isinstance(kline, dict):
        listener.refuse(str(event.get("s"))[:40], Refusal("not a kline event", show_row(event), is_spare=True))
        return
    if kline.get("x") is not True:
        return
    name = kline.get("s")
    if not isinstance(name, str) or name not in names or event.get("s") != name or kline.get("i") != "1m":
        listener.refuse(str(name)[:40], Refusal("wrong symbol or interval", show_row(event), is_spare=True))
        return
    page = parse_klines([[kline.get(field) for field in "tohlcvTqnVQ"]])
    for refusal in page.refused:
        listener.refuse(name, refusal)
    told = from_milliseconds(max(0, min(told_ms, _LATEST_MS)))
    for closed in page.klines:
        # The server says that the candle is closed; the time of its message must be after the minute.
        if told < closed.minute + MINUTE - MILLISECOND:
            reason = "said to be closed before its minute ended"
            listener.refuse(name, Refusal(reason, show_row(event), closed.minute, is_spare=True))
            continue
        await listener.take(name, closed)


async def _next_message(socket: aiohttp.ClientWebSocketResponse, stop: asyncio.Event) -> aiohttp.WSMessage | None:
    """Return the next message, None when the service stops first; raises TimeoutError when there is only silence."""
    receiving = asyncio.ensure_future(socket.receive())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        waited_for = (receiving, stopping)
        await asyncio.wait(waited_for, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            return receiving.result()
        if stopping.done():
            return None
        raise TimeoutError(f"silent for {IDLE_SECONDS:.0f} s")
    finally:
        receiving.cancel()
        stopping.cancel()


def _parse_event(text: str) -> dict[str, object]:
    """Return the event of a frame, bare or wrapped by a combined stream; an empty one for what is neither."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    event = frame.get("data", frame) if isinstance(frame, dict) else None
    return event if isinstance(event, dict) else {}
