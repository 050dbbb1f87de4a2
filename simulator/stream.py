"""Serves streams: pushes the open candle about every two seconds of exchange time, and each minute as it closes."""

import asyncio
from collections.abc import Iterator

from aiohttp import web

from shared.logging import get_logger
from simulator.frames import make_kline_event, make_shutdown_event, make_stream_name, to_frame
from simulator.kline import DAY_MS, MINUTE_MS
from simulator.market import Market
from simulator.subscriber import Subscriber

PUSH_MS = 2_000
PING_SECONDS = 20.0
LIFETIME_SECONDS = 86_400.0
SHUTDOWN_SECONDS = 1.0
LATE_CLOSE_SECONDS = 5.0
# When exchange time runs fast, the stream wakes up at most once in so many real milliseconds.
WAKE_MS = 20
# After a jump of the clock only this much is pushed; a client must request the rest by REST, as after any silence.
CAUGHT_UP_MS = DAY_MS

log = get_logger(__name__)


class Stream:
    """Accepts stream connections and pushes frames to them."""

    def __init__(self, market: Market, lifetime_seconds: float = LIFETIME_SECONDS) -> None:
        self._market = market
        self._lifetime_seconds = lifetime_seconds
        self._subscribers: dict[Subscriber, None] = {}
        self._no_subscribers = asyncio.Event()
        self._no_subscribers.set()
        self._late: list[tuple[int, str, int]] = []  # when due, of what symbol, the minute that closed
        self._pushed_ms = market.now_ms()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/ws", self.serve),
            web.get("/ws/{streams:.+}", self.serve),
            web.get("/stream", self.serve),
        ]

    @property
    def connections(self) -> int:
        """The number of connected clients."""
        return len(self._subscribers)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection from its handshake to its end, at the latest after its lifetime of a day."""
        combined = request.path == "/stream"
        names = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS)
        await socket.prepare(request)
        subscriber = Subscriber(socket, filter(None, names.split("/")), combined=combined)
        self._subscribers[subscriber] = None
        self._no_subscribers.clear()
        try:
            async with asyncio.timeout(self._lifetime_seconds):
                await subscriber.run()
        except TimeoutError:
            log.info("stream_lifetime_over", seconds=self._lifetime_seconds)
        finally:
            del self._subscribers[subscriber]
            if not self._subscribers:
                self._no_subscribers.set()
            await socket.close()
        return socket

    async def run(self) -> None:
        """Push as time passes, until cancelled."""
        while True:
            await self._market.clock.wait_until(self._next_ms() - self._market.offset_ms())
            try:
                self.push()
            except Exception:
                # A mistake in one push must be logged, and must not end the stream.
                log.exception("stream_push_failed")

    async def shut_down(self) -> None:
        """Announce the shutdown, and disconnect all clients."""
        self._announce_shutdown()
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await self._no_subscribers.wait()
        except TimeoutError:
            log.warning("stream_clients_left", count=len(self._subscribers))

    def push(self) -> None:
        """Send the frames that have become due since the last push."""
        now_ms = self._market.now_ms()
        since_ms = max(self._pushed_ms, now_ms - CAUGHT_UP_MS)
        self._pushed_ms = now_ms
        if self._end_by_fault():
            return
        for symbol in self._subscribed_symbols():
            for due_ms, minute_ms in self._due_closings(symbol, since_ms, now_ms):
                self._send(symbol, minute_ms, due_ms, closed=True)
            if now_ms - since_ms > 0 and now_ms % MINUTE_MS:
                self._send(symbol, now_ms - now_ms % MINUTE_MS, now_ms, closed=False)
        self._late = [late for late in self._late if late[0] > now_ms]

    def _next_ms(self) -> int:
        """Return when the next push is due: after two seconds, at the minute's end, or at a late closing push."""
        speed = self._market.clock.speed
        pause_ms = max(PUSH_MS, int(WAKE_MS * 10 * speed))
        minute_end_ms = self._pushed_ms - self._pushed_ms % MINUTE_MS + MINUTE_MS
        soonest_ms = min([self._pushed_ms + pause_ms, minute_end_ms, *(due_ms for due_ms, _, _ in self._late)])
        return max(soonest_ms, self._pushed_ms + max(1, int(WAKE_MS * (speed - 1))))

    def _subscribed_symbols(self) -> list[str]:
        wanted = {name for subscriber in self._subscribers for name in subscriber.streams}
        return [symbol for symbol in self._market.symbols if make_stream_name(symbol) in wanted]

    def _due_closings(self, symbol: str, since_ms: int, now_ms: int) -> Iterator[tuple[int, int]]:
        """Yield the due time and the minute of every closing push that is due by now, in ms since 1970 UTC."""
        yield from (
            (due_ms, minute_ms) for due_ms, name, minute_ms in self._late if name == symbol and due_ms <= now_ms
        )
        for end_ms in range(since_ms - since_ms % MINUTE_MS + MINUTE_MS, now_ms + 1, MINUTE_MS):
            minute_ms = end_ms - MINUTE_MS
            fault = self._market.faults.strike_minute(("no_close", "late_close"), symbol, minute_ms)
            if fault is None:
                yield end_ms, minute_ms
            elif fault.kind == "late_close":
                due_ms = end_ms + int(fault.seconds_or(LATE_CLOSE_SECONDS) * 1000)
                if due_ms <= now_ms:
                    yield due_ms, minute_ms
                else:
                    self._late.append((due_ms, symbol, minute_ms))

    def _send(self, symbol: str, minute_ms: int, event_ms: int, *, closed: bool) -> None:
        kline = self._market.kline_at(symbol, minute_ms, event_ms)
        faults = self._market.faults
        if kline is None or faults.strike_minute(("silent_stream",), symbol, minute_ms):
            return
        event = make_kline_event(symbol, kline, event_ms, closed=closed)
        spoilt = faults.strike_minute(("wrong_symbol", "malformed_frame"), symbol, minute_ms)
        if spoilt is not None and spoilt.kind == "wrong_symbol":
            event["s"] = event["k"]["s"] = "OTHERUSDT"
        name = make_stream_name(symbol)
        for subscriber in self._subscribers:
            if name in subscriber.streams:
                frame = to_frame(event, name if subscriber.combined else None)
                whole = spoilt is None or spoilt.kind != "malformed_frame"
                subscriber.send(frame if whole else frame[: len(frame) // 2])

    def _end_by_fault(self) -> bool:
        if not self._subscribers:
            return False
        fault = self._market.faults.strike(("cut_stream", "server_shutdown"), lambda _: True)
        if fault is None:
            return False
        if fault.kind == "server_shutdown":
            self._announce_shutdown()
        else:
            for subscriber in self._subscribers:
                subscriber.disconnect()
        return True

    def _announce_shutdown(self) -> None:
        # The exchange sends this event without a stream's name, also on combined connections.
        frame = to_frame(make_shutdown_event(self._market.now_ms()), None)
        for subscriber in self._subscribers:
            subscriber.send(frame)
            subscriber.disconnect()
