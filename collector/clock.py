"""The exchange's clock, never ahead of the truth: it alone decides that a minute is closed.

An answer that says `t` was written before it was received, so `t` plus the time since the receipt is a lower bound of
the exchange's time. The best bound of the last minutes is used; the machine's own clock, which may be wrong or set
while we run, plays no part.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from collector.klines import MINUTE_MS
from shared.instant import from_milliseconds

# Quartz drifts by some 50 ms in ten minutes at worst, so older bounds could run ahead of the exchange.
WINDOW_SECONDS = 600.0


class ExchangeClock:
    """Lower bound of the exchange's time, from timed answers."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._bounds: deque[tuple[float, float]] = deque()  # (received at, offset in ms), offsets falling

    @property
    def is_known(self) -> bool:
        """Whether the exchange has told its time yet."""
        return bool(self._bounds)

    def observe(self, exchange_ms: int, sent_at: float) -> None:
        """Take the time that an answer states; `sent_at` is when it was asked for, by the monotonic clock.

        Where even the asking lies after it, the exchange's clock went back, and earlier bounds are forgotten.
        """
        latest = exchange_ms - sent_at * 1000.0 + 1.0
        if self._bounds and latest < self._bounds[0][1]:
            self._bounds.clear()
        received_at = self._monotonic()
        offset = exchange_ms - received_at * 1000.0
        while self._bounds and self._bounds[-1][1] <= offset:
            self._bounds.pop()
        self._bounds.append((received_at, offset))
        while len(self._bounds) > 1 and self._bounds[0][0] < received_at - WINDOW_SECONDS:
            self._bounds.popleft()

    def now_ms(self) -> int:
        """Return ms since 1970 that have certainly passed at the exchange; raises RuntimeError while it is unknown."""
        if not self._bounds:
            raise RuntimeError("the exchange has not told its time yet")
        return int(self._bounds[0][1] + self._monotonic() * 1000.0)

    def now(self) -> datetime:
        """Return the same as an aware datetime."""
        return from_milliseconds(self.now_ms())

    def open_minute_ms(self) -> int:
        """Return the open of the minute that is not closed yet: every minute before it is."""
        return self.now_ms() // MINUTE_MS * MINUTE_MS
