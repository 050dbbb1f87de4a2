"""The live minute of one symbol: stored as soon as it closes, read again until it is final, never stored while open."""

import asyncio
import time
from datetime import datetime, timedelta
from decimal import Decimal

from collector.klines import Kline, KlinePage, Refusal, show_row
from collector.reading import read_newest_klines
from collector.recorder import Recorder
from shared.backoff import Backoff
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError
from shared.instant import EPOCH, MINUTE
from shared.lifecycle import wait
from shared.logging import get_logger
from shared.runs import Run

log = get_logger(__name__)

# A question for a few minutes costs no less than one for a page, so the last minutes are read again with each new one,
# and many more with each new hour: that is how late rows and corrections come in.
REREAD = 15 * MINUTE
HOURLY_REREAD = 990 * MINUTE
# The last row of an answer can be a candle that was open when the exchange's store last saw it, however long ago that
# is. It is final when a later row follows, when the stream's closing push counts no more, or when it does not change.
DOUBT_SECONDS = 20.0
# Where an exchange has never listed an open candle, a last row is final; the short wait is for one that lists it late.
CLOSED_ONLY_DOUBT_SECONDS = 0.4
CONFIRM_SECONDS = 4.0
SHORTEST_RETRY_SECONDS = 0.12
# A minute that is late is wanted within a second of its coming, and asking weighs 2 of 6,000 a minute.
LONGEST_RETRY_SECONDS = 1.0
REFUSED_PAUSE_SECONDS = 15.0
# The stream may be ahead of our clock, which is a lower bound, by the time that an answer takes; not by more.
AHEAD_MAX = timedelta(seconds=2)
CLOCK_DOUBT_SECONDS = 0.2
# So often the clock is looked at, which may have been set meanwhile.
LOOK_SECONDS = 5.0


class LiveMinutes:
    """Follows one symbol; the stream may tell of a close, the clock does in any case."""

    def __init__(self, symbol: str, recorder: Recorder, since: datetime, stop: asyncio.Event) -> None:
        self._symbol = symbol
        self._source = recorder.source
        self._recorder = recorder
        self._since = since
        self._stop = stop
        self._wake = asyncio.Event()
        self._streamed: Kline | None = None
        self._doubted: tuple[Kline, float] | None = None  # since when it was the last row, unchanged
        self._shows_open_candles: bool | None = None  # None: not known yet
        self._hour: datetime | None = None  # the one whose long reading is done
        self._last_end = EPOCH
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
        end = kline.minute + MINUTE
        if end < self._source.clock.open_minute() - (REREAD - MINUTE):
            self._recorder.refuse(self._symbol, "stream", Refusal("closed long ago", show_row(tuple(kline))))
            return
        if end > self._source.clock.now() + AHEAD_MAX:
            self._clock_is_doubted = True
        else:
            if self._streamed is None or kline.minute > self._streamed.minute:
                self._streamed = kline
            await self._recorder.record_kline(self._symbol, kline)
        self.wake()

    async def run(self) -> None:
        """Follow the symbol until `stop`."""
        while not self._stop.is_set():
            try:
                await self._settle_clock()
                end = self._closed_until()
                # Not only a later one: a clock that was ahead is set back in the end.
                if end != self._last_end:
                    await self._read_until_there(end)
                    self._last_end = end
                    await self._wait(CONFIRM_SECONDS)
                    if self._closed_until() == end and not (self._clock_is_doubted or self._stop.is_set()):
                        await self._read(end)
            except ExchangeUnreachableError as error:
                # The gate already spaces the requests while no host answers.
                log.warning("live_minute_late", symbol=self._symbol, reason=str(error))
                continue
            except ExchangeRefusedError as error:
                log.error("live_minute_refused", symbol=self._symbol, reason=str(error))  # noqa: TRY400 - it is no bug
                await self._wait(REFUSED_PAUSE_SECONDS)
                continue
            if self._closed_until() == self._last_end and not self._clock_is_doubted:
                await self._wait(min(LOOK_SECONDS, self._seconds_to_close()))

    async def _settle_clock(self) -> None:
        """Measure the exchange's time when the stream contradicts it, but not again and again."""
        if self._clock_is_doubted:
            await wait(self._stop, self._measured_at + CLOCK_DOUBT_SECONDS - time.monotonic())
            self._clock_is_doubted = False
            self._measured_at = time.monotonic()
            await self._source.measure_time()

    async def _read_until_there(self, end: datetime) -> None:
        """Read until the minute before `end` is stored, or the next one is due and will be read with it."""
        backoff = Backoff(SHORTEST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, jitter=0.0)
        while not await self._read(end):
            await self._wait(backoff.next())
            if self._stop.is_set() or self._closed_until() > end:
                return

    async def _read(self, end: datetime) -> bool:
        """Read and store the minutes before `end`; True when the newest of them was there and final."""
        hour = end.replace(minute=0)
        start = max(self._since, end - (REREAD if hour == self._hour else HOURLY_REREAD))
        if start >= end:
            return True
        page, has_later = await read_newest_klines(self._source, self._symbol, Run(start, end))
        known_until = end
        if page.klines and not self._is_final(page.klines[-1], has_later=has_later):
            # The exchange's store need not have the minutes yet that follow a row that may be open.
            known_until = page.klines[-1].minute
            page = KlinePage(page.klines[:-1], page.refused)
        stored = await self._recorder.record_newest(self._symbol, page, Run(start, known_until))
        self._hour = hour
        if stored.corrected:
            log.info("minutes_corrected", symbol=self._symbol, count=stored.corrected)
        return bool(page.klines) and page.klines[-1].minute == end - MINUTE

    def _is_final(self, last: Kline, *, has_later: bool) -> bool:
        """Whether the last row of an answer is a closed minute's, and not older than the stream's row of it."""
        streamed = self._streamed
        if streamed is not None and streamed.minute == last.minute:
            return _is_at_least_as_complete(last, streamed)
        if has_later:
            self._shows_open_candles = True
            return True
        if self._doubted is None or self._doubted[0] != last:
            self._doubted = last, time.monotonic()
        unchanged_seconds = time.monotonic() - self._doubted[1]
        if unchanged_seconds >= DOUBT_SECONDS and self._shows_open_candles is None:
            self._shows_open_candles = False
        return unchanged_seconds >= (CLOSED_ONLY_DOUBT_SECONDS if self._shows_open_candles is False else DOUBT_SECONDS)

    def _closed_until(self) -> datetime:
        """Return the end of the newest minute known to be closed, by the clock or by the stream."""
        open_minute = self._source.clock.open_minute()
        return max(open_minute, self._streamed.minute + MINUTE) if self._streamed else open_minute

    def _seconds_to_close(self) -> float:
        return max(0.001, (self._closed_until() + MINUTE - self._source.clock.now()).total_seconds())

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the stream reports a close or the service stops."""
        if not self._stop.is_set():
            await wait(self._wake, seconds)
            self._wake.clear()


def _is_at_least_as_complete(row: Kline, streamed: Kline) -> bool:
    """Whether a row has at least as many trades as the stream's has, or where they are not known, as much volume."""
    if row.trades is not None and streamed.trades is not None:
        return row.trades >= streamed.trades
    return Decimal(row.volume) >= Decimal(streamed.volume)
