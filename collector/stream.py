"""The exchange's stream: tells of a minute as soon as it closes. It only makes minutes sooner; REST is the truth."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import aiohttp

from collector.klines import MINUTE_MS, Kline, log_refusals, parse_klines
from collector.rate_limit import RequestGate, pause_from_answer
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

# Every minute ends in a push, so a minute and a half of silence means that the socket is dead without saying so.
IDLE_SECONDS = 90.0
HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 20.0
CLOSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LARGEST_FRAME_BYTES = 1024 * 1024

OnClosed = Callable[[str, Kline], Awaitable[None]]


class Stream:
    """Listens to the klines of some symbols, and comes back whenever the connection ends, for whatever reason."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        symbols: Sequence[str],
        on_closed: OnClosed,
        refused: Counter[str],
    ) -> None:
        names = "/".join(f"{symbol.lower()}@kline_1m" for symbol in symbols)
        # The combined form first; a server that only knows the raw one gets its turn after a failed handshake.
        self._urls = (f"{url}/stream?streams={names}", f"{url}/ws/{names}")
        self._session = session
        self._symbols = frozenset(symbols)
        self._on_closed = on_closed
        self._refused = refused  # how many frames, by reason; the heartbeat shows it

    async def run(self, gate: RequestGate, stop: asyncio.Event) -> None:
        """Listen until `stop`; a pause that the exchange asks for holds here too."""
        failures = 0
        while not stop.is_set():
            reason = "closed"
            try:
                await gate.admit(0, urgent=True)
                heard = await self._listen(self._urls[failures % len(self._urls)], stop)
                failures = 0 if heard else failures + 1
            except Stopping:
                break
            except aiohttp.WSServerHandshakeError as error:
                failures += 1
                reason = f"HTTP {error.status}"
                if error.status in {429, 418}:
                    asked = error.headers.get("Retry-After") if error.headers else None
                    gate.pause(pause_from_answer(error.status, asked, "", None), f"{reason} from the stream")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failures += 1
                reason = str(error) or type(error).__name__
            if not stop.is_set():
                longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 10))
                pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
                log.warning("stream_ended", reason=reason, again_in_seconds=round(pause, 2))
                await wait(stop, pause)

    async def _listen(self, url: str, stop: asyncio.Event) -> bool:
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
                    await self._take(event)

    async def _take(self, event: dict[str, object]) -> None:
        told_ms, kline = event.get("E"), event.get("k")
        if not isinstance(told_ms, int) or not isinstance(kline, dict):
            self._refuse(str(event.get("s"))[:40], "not a kline event", event)
            return
        if kline.get("x") is not True:
            return
        symbol = kline.get("s")
        if (
            not isinstance(symbol, str)
            or symbol not in self._symbols
            or event.get("s") != symbol
            or kline.get("i") != "1m"
        ):
            self._refuse(str(symbol)[:40], "wrong symbol or interval", event)
            return
        page = parse_klines([[kline.get(field) for field in "tohlcvTqnVQ"]], 0, 1 << 60)
        log_refusals(page.refused, symbol, "stream")
        self._refused.update(refusal.reason for refusal in page.refused)
        for closed in page.klines:
            # "Closed" is the server's word, and its own clock must agree.
            if told_ms < closed.minute_ms + MINUTE_MS - 1:
                self._refuse(symbol, "said to be closed before its minute ended", event)
                continue
            await self._on_closed(symbol, closed)

    def _refuse(self, symbol: str, reason: str, event: dict[str, object]) -> None:
        self._refused[reason] += 1
        log.warning("stream_event_refused", symbol=symbol, reason=reason, event_text=repr(event)[:200])


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
