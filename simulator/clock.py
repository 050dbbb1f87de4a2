"""The exchange's time: a clock that runs at a chosen speed, and one that a test moves by hand.

Both count milliseconds since 1970 UTC. Use a clock from one event loop only.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Protocol

from shared.instant import to_milliseconds


class Clock(Protocol):
    """The clock that the simulator needs."""

    @property
    def speed(self) -> float:
        """How many seconds of the exchange pass in one real second."""
        ...

    def now_ms(self) -> int:
        """Return the time now, in ms since 1970 UTC."""
        ...

    def set(self, instant: datetime | int) -> None:
        """Set the clock to an instant; an integer is in ms since 1970 UTC."""
        ...

    async def wait_until(self, milliseconds: int) -> None:
        """Wait until the time is reached; returns early when the clock is set meanwhile."""
        ...


class _Settable:
    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def _wake(self) -> None:
        # Tasks that wait now wait for the old event; later ones wait for the new one.
        self._moved.set()
        self._moved = asyncio.Event()


class RunningClock(_Settable):
    """Starts at `start`, or now when it is None, and runs `speed` times as fast as real time."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        super().__init__()
        self.speed = speed
        self._start_ms = time.time() * 1000 if start is None else float(to_milliseconds(start))
        self._started_seconds = time.monotonic()

    def now_ms(self) -> int:
        """Return the time now, in ms since 1970 UTC."""
        return int(self._start_ms + (time.monotonic() - self._started_seconds) * 1000 * self.speed)

    def set(self, instant: datetime | int) -> None:
        """Set the clock to an instant, from which it runs on."""
        self._start_ms = float(_to_milliseconds(instant))
        self._started_seconds = time.monotonic()
        self._wake()

    async def wait_until(self, milliseconds: int) -> None:
        """Sleep until the time is reached; returns early when the clock is set meanwhile."""
        seconds = (milliseconds - self.now_ms()) / 1000 / self.speed
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return


class ManualClock(_Settable):
    """A clock that stands still until a test moves it."""

    speed = 1.0

    def __init__(self, start: datetime | int) -> None:
        super().__init__()
        self._now_ms = _to_milliseconds(start)

    def now_ms(self) -> int:
        """Return the time that it was last set to, in ms since 1970 UTC."""
        return self._now_ms

    def set(self, instant: datetime | int) -> None:
        """Set the clock to an instant, and wake the tasks that wait for it."""
        self._now_ms = _to_milliseconds(instant)
        self._wake()

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the clock forward by a duration."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self.set(self._now_ms + step // timedelta(milliseconds=1))

    async def wait_until(self, milliseconds: int) -> None:
        """Wait until the clock has been moved at least that far."""
        while self._now_ms < milliseconds:
            await self._moved.wait()


def _to_milliseconds(instant: datetime | int) -> int:
    return instant if isinstance(instant, int) else to_milliseconds(instant)
