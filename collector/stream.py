"""The exchange's stream: tells of a minute as soon as it closes. It only makes minutes sooner; REST is the truth."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence

import aiohttp

from collector.klines import MINUTE_MS, Kline, log_refusals, parse_klines
from collector.rate_limit import RequestGate
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

# Every minute ends in a push, so a minute and a half of silence means that the socket is dead without saying so.
IDLE_SECONDS = 90.0
HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 30.0
LARGEST_FRAME_BYTES = 1024 * 1024

OnClosed = Callable[[str, Kline], Awaitable[None]]


class Stream:
    """Listens to the klines of some symbols, and comes back whenever the connection ends, for whatever reason."""

    def __init__(self, session: aiohttp.ClientSession, url: str, symbols: Sequence[str], on_closed: OnClosed) -> None:
        names = "/".join(f"{symbol.lower()}@kline_1m" for symbol in symbols)
        # The combined form first; a server that only knows the raw one gets its turn after a failed handshake.
        self._urls = (f"{url}/stream?streams={names}", f"{url}/ws/{names}")
        self._session = session
        self._symbols = frozenset(symbols)
        self._on_closed = on_closed
        self.is_connected = False
        self.refused = 0

    async def run(self, gate: RequestGate, stop: asyncio.Event) -> None:
        """Listen until `stop`; a pause that the exchange asks for holds here too."""
        failures = 0
        while not stop.is_set():
            if gate.pause_seconds() > 0:
                await wait(stop, gate.pause_seconds())
                continue
            reason = "closed"
            try:
                heard = await self._listen(self._urls[failures % len(self._urls)])
                failures = 0 if heard else failures + 1
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failures += 1
                reason = str(error) or type(error).__name__
            finally:
                self.is_connected = False
            if not stop.is_set():
                longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 10))
                pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
                log.warning("stream_ended", reason=reason, again_in_seconds=round(pause, 2))
                await wait(stop, pause)

    async def _listen(self, url: str) -> bool:
        """Hear one connection out; returns whether it ever said anything of use."""
        heard = False
        async with (
            asyncio.timeout(HANDSHAKE_SECONDS) as handshake,
            self._session.ws_connect(url, heartbeat=PING_SECONDS, max_msg_size=LARGEST_FRAME_BYTES) as socket,
        ):
            handshake.reschedule(None)
            self.is_connected = True
            log.info("stream_connected", url=url)
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return heard
                event = _parse_event(message.data)
                if event.get("e") == "serverShutdown":
                    return heard
                if event.get("e") == "kline":
                    heard = True
                    await self._take(event)

    async def _take(self, event: dict[str, object]) -> None:
        told_ms, kline = event.get("E"), event.get("k")
        if not isinstance(told_ms, int) or not isinstance(kline, dict):
            self._refuse(str(event.get("s")), "not a kline event", event)
            return
        if kline.get("x") is not True:
            return
        symbol = kline.get("s")
        if symbol not in self._symbols or event.get("s") != symbol or kline.get("i") != "1m":
            self._refuse(str(symbol), "wrong symbol or interval", event)
            return
        page = parse_klines([[kline.get(field) for field in "tohlcvTqnVQ"]], 0, 1 << 60)
        log_refusals(page.refused, str(symbol), "stream")
        self.refused += len(page.refused)
        for closed in page.klines:
            # "Closed" is the server's word, and its own clock must agree.
            if told_ms < closed.minute_ms + MINUTE_MS - 1:
                self._refuse(str(symbol), "said to be closed before its minute ended", event)
                continue
            await self._on_closed(str(symbol), closed)

    def _refuse(self, symbol: str, reason: str, event: dict[str, object]) -> None:
        self.refused += 1
        log.warning("stream_event_refused", symbol=symbol, reason=reason, event_text=repr(event)[:200])


def _parse_event(text: str) -> dict[str, object]:
    """Return the event of a frame, bare or wrapped by a combined stream; an empty one for what is neither."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    event = frame.get("data", frame) if isinstance(frame, dict) else None
    return event if isinstance(event, dict) else {}
