"""The live minute of one symbol: stored as soon as it closes, read again until it is final, never stored while open."""

import asyncio
import time

from collector.binance import Binance
from collector.klines import MINUTE_MS, Kline, KlinePage, Refusal
from collector.recorder import Recorder
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

# The weight of a request does not depend on its size, so the last minutes are read again with each new one, and
# most of a page with each new hour: that is how late rows and corrections come in.
REREAD_MINUTES = 15
HOURLY_REREAD_MINUTES = 990
# The last row of an answer can be a candle that was open when the exchange's store last saw it, however long ago that
# is. It is final when a later row follows, when the stream's closing push says no more, or when it stays as it is.
DOUBT_SECONDS = 20.0
# An exchange that never shows the candle that is open has only final rows to show; it may merely be late with one.
CLOSED_ONLY_DOUBT_SECONDS = 0.4
CONFIRM_SECONDS = 4.0
SHORTEST_RETRY_SECONDS = 0.12
# A minute that is late is wanted within a second of its coming, and asking weighs 2 of 6,000 a minute.
LONGEST_RETRY_SECONDS = 1.0
REFUSED_PAUSE_SECONDS = 15.0
# The stream may be ahead of our clock, which is a lower bound, by the time that an answer takes; not by more.
AHEAD_MS_MAX = 2000
CLOCK_DOUBT_SECONDS = 0.2
# So often the clock is looked at, which may have been set meanwhile.
LOOK_SECONDS = 5.0


class LiveMinutes:
    """Follows one symbol; the stream may tell of a close, the clock does in any case."""

    def __init__(self, symbol: str, binance: Binance, recorder: Recorder, since_ms: int, stop: asyncio.Event) -> None:
        self._symbol = symbol
        self._binance = binance
        self._recorder = recorder
        self._since_ms = since_ms
        self._stop = stop
        self._wake = asyncio.Event()
        self._streamed: Kline | None = None
        self._doubted: tuple[Kline, float] | None = None  # since when it was the last row, unchanged
        self._shows_open_candles: bool | None = None  # None: not known yet
        self._hour = -1
        self._last_end_ms = 0
        self._clock_is_doubted = False
        self._measured_at = 0.0

    def wake(self) -> None:
        """End the wait for the next close."""
        self._wake.set()

    async def take_from_stream(self, kline: Kline) -> None:
        """Store a minute that the stream has closed, and have REST confirm it.

        One that lies ahead of the exchange's clock is left to REST: either the clock or the frame is wrong. One that
        REST will not read again soon is refused, for nothing would put a wrong one right.
        """
        end_ms = kline.minute_ms + MINUTE_MS
        if end_ms < self._binance.clock.open_minute_ms() - (REREAD_MINUTES - 1) * MINUTE_MS:
            self._recorder.refuse(self._symbol, "stream", Refusal("closed long ago", repr(tuple(kline))))
            return
        if end_ms > self._binance.clock.now_ms() + AHEAD_MS_MAX:
            self._clock_is_doubted = True
        else:
            if self._streamed is None or kline.minute_ms > self._streamed.minute_ms:
                self._streamed = kline
            await self._recorder.record_kline(self._symbol, kline)
        self.wake()

    async def run(self) -> None:
        """Follow the symbol until `stop`."""
        while not self._stop.is_set():
            try:
                await self._settle_clock()
                end_ms = self._closed_until_ms()
                # Not only a later one: a clock that was ahead is set back in the end.
                if end_ms != self._last_end_ms:
                    await self._read_until_there(end_ms)
                    self._last_end_ms = end_ms
                    await self._wait(CONFIRM_SECONDS)
                    if self._closed_until_ms() == end_ms and not (self._clock_is_doubted or self._stop.is_set()):
                        await self._read(end_ms)
            except ExchangeUnreachableError as error:
                # The gate already spaces the requests while no host answers.
                log.warning("live_minute_late", symbol=self._symbol, reason=str(error))
                continue
            except ExchangeRefusedError as error:
                log.error("live_minute_refused", symbol=self._symbol, reason=str(error))  # noqa: TRY400 - it is no bug
                await self._wait(REFUSED_PAUSE_SECONDS)
                continue
            if self._closed_until_ms() == self._last_end_ms and not self._clock_is_doubted:
                await self._wait(min(LOOK_SECONDS, self._seconds_to_close()))

    async def _settle_clock(self) -> None:
        """Measure the exchange's time when the stream contradicts it, but not again and again."""
        if self._clock_is_doubted:
            await wait(self._stop, self._measured_at + CLOCK_DOUBT_SECONDS - time.monotonic())
            self._clock_is_doubted = False
            self._measured_at = time.monotonic()
            await self._binance.measure_time()

    async def _read_until_there(self, end_ms: int) -> None:
        """Read until the minute before `end_ms` is stored, or the next one is due and will be read with it."""
        pause = SHORTEST_RETRY_SECONDS
        while not await self._read(end_ms):
            await self._wait(pause)
            pause = min(LONGEST_RETRY_SECONDS, pause * 1.7)
            if self._stop.is_set() or self._closed_until_ms() > end_ms:
                return

    async def _read(self, end_ms: int) -> bool:
        """Read and store the minutes before `end_ms`; True when the newest of them was there and final."""
        hour = end_ms // (60 * MINUTE_MS)
        minutes = REREAD_MINUTES if hour == self._hour else HOURLY_REREAD_MINUTES
        start_ms = max(self._since_ms, end_ms - minutes * MINUTE_MS)
        if start_ms >= end_ms:
            return True
        page, has_later = await self._binance.newest_klines(self._symbol, start_ms, end_ms)
        known_until_ms = end_ms
        if page.klines and not self._is_final(page.klines[-1], has_later):
            # Of what follows a row that may be open the exchange's store knows nothing yet.
            known_until_ms = page.klines[-1].minute_ms
            page = KlinePage(page.klines[:-1], page.refused)
        stored = await self._recorder.record_newest(self._symbol, page, start_ms, known_until_ms)
        self._hour = hour
        if stored.corrected:
            log.info("minutes_corrected", symbol=self._symbol, count=stored.corrected)
        return bool(page.klines) and page.klines[-1].minute_ms == end_ms - MINUTE_MS

    def _is_final(self, last: Kline, has_later: bool) -> bool:  # noqa: FBT001 - private, and named at its one call
        """Whether the last row of an answer is a closed minute's, and not older than what the stream said of it."""
        streamed = self._streamed
        if streamed is not None and streamed.minute_ms == last.minute_ms:
            return last.trades >= streamed.trades
        if has_later:
            self._shows_open_candles = True
            return True
        if self._doubted is None or self._doubted[0] != last:
            self._doubted = last, time.monotonic()
        unchanged_seconds = time.monotonic() - self._doubted[1]
        if unchanged_seconds >= DOUBT_SECONDS and self._shows_open_candles is None:
            self._shows_open_candles = False
        return unchanged_seconds >= (CLOSED_ONLY_DOUBT_SECONDS if self._shows_open_candles is False else DOUBT_SECONDS)

    def _closed_until_ms(self) -> int:
        """Return the end of the newest minute known to be closed, by the clock or by the stream."""
        streamed_ms = self._streamed.minute_ms + MINUTE_MS if self._streamed else 0
        return max(self._binance.clock.open_minute_ms(), streamed_ms)

    def _seconds_to_close(self) -> float:
        return max(0.001, (self._closed_until_ms() + MINUTE_MS - self._binance.clock.now_ms()) / 1000.0)

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the stream tells of a close or the service stops."""
        if not self._stop.is_set():
            await wait(self._wake, seconds)
            self._wake.clear()
