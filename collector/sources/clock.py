"""An exchange's clock, never ahead of the truth: it alone decides that a minute is closed.

An answer that says `t` was written before it was received, so `t` plus the time since the receipt is a lower bound of
the exchange's time. The best bound of the last minutes is used; the machine's own clock, which may be wrong or set
while we run, plays no part.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.instant import MILLISECOND, floor_minute

# Quartz drifts by some 50 ms in ten minutes at worst, so older bounds could run ahead of the exchange.
WINDOW_SECONDS = 600.0


class ExchangeClock:
    """Lower bound of an exchange's time, from timed answers."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, resolution: timedelta = MILLISECOND) -> None:
        """Take `resolution` as what the exchange's statements of its time are rounded down to."""
        self._monotonic = monotonic
        self._resolution = resolution
        # (received at, exchange's time at which our monotonic clock was 0), the latter falling
        self._bounds: deque[tuple[float, datetime]] = deque()

    @property
    def is_known(self) -> bool:
        """Whether the exchange has told its time yet."""
        return bool(self._bounds)

    def observe(self, told: datetime, sent_at: float) -> None:
        """Take the time that an answer states; `sent_at` is when it was asked for, by the monotonic clock.

        Where even the asking lies after it, the exchange's clock went back, and earlier bounds are forgotten.
        """
        latest = told - timedelta(seconds=sent_at) + self._resolution
        if self._bounds and latest < self._bounds[0][1]:
            self._bounds.clear()
        received_at = self._monotonic()
        zero = told - timedelta(seconds=received_at)
        while self._bounds and self._bounds[-1][1] <= zero:
            self._bounds.pop()
        self._bounds.append((received_at, zero))
        while len(self._bounds) > 1 and self._bounds[0][0] < received_at - WINDOW_SECONDS:
            self._bounds.popleft()

    def now(self) -> datetime:
        """Return an instant that has certainly come at the exchange; raises RuntimeError while its time is unknown."""
        if not self._bounds:
            raise RuntimeError("the exchange has not told its time yet")
        return self._bounds[0][1] + timedelta(seconds=self._monotonic())

    def open_minute(self) -> datetime:
        """Return the open of the minute that is not closed yet: every minute before it is."""
        return floor_minute(self.now())
