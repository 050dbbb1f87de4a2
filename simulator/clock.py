"""The exchange's time: a clock that runs at a chosen speed, and one that a test moves by hand.

Both count milliseconds since 1970 UTC and can be waited for; use them from one event loop only.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Protocol

from shared.instant import to_milliseconds


class Clock(Protocol):
    """What the simulator needs of a clock."""

    @property
    def speed(self) -> float:
        """Exchange seconds that pass in a second of the machine's."""
        ...

    def now_ms(self) -> int:
        """The time now."""
        ...

    def set(self, instant: datetime | int) -> None:
        """Jump to an instant (milliseconds when an integer)."""
        ...

    async def wait_until(self, milliseconds: int) -> None:
        """Return when the time is reached, or a little earlier when the clock was set meanwhile."""
        ...


class _Settable:
    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def _wake(self) -> None:
        # Whoever waits holds the old event; a new one serves the next wait.
        self._moved.set()
        self._moved = asyncio.Event()


class RunningClock(_Settable):
    """Starts at `start` (None: the machine's time) and runs `speed` times as fast as the machine's."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        super().__init__()
        self.speed = speed
        self._start_ms = time.time() * 1000 if start is None else float(to_milliseconds(start))
        self._started_seconds = time.monotonic()

    def now_ms(self) -> int:
        """The time now."""
        return int(self._start_ms + (time.monotonic() - self._started_seconds) * 1000 * self.speed)

    def set(self, instant: datetime | int) -> None:
        """Jump to an instant and run on from there."""
        self._start_ms = float(_milliseconds(instant))
        self._started_seconds = time.monotonic()
        self._wake()

    async def wait_until(self, milliseconds: int) -> None:
        """Sleep until then; returns early when the clock is set."""
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
    """Stands still until a test moves it."""

    speed = 1.0

    def __init__(self, start: datetime | int) -> None:
        super().__init__()
        self._now_ms = _milliseconds(start)

    def now_ms(self) -> int:
        """The time it was last set to."""
        return self._now_ms

    def set(self, instant: datetime | int) -> None:
        """Jump to an instant; whoever waits for it wakes."""
        self._now_ms = _milliseconds(instant)
        self._wake()

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move on by a duration."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self.set(self._now_ms + step // timedelta(milliseconds=1))

    async def wait_until(self, milliseconds: int) -> None:
        """Wait until the clock has been moved at least that far."""
        while self._now_ms < milliseconds:
            await self._moved.wait()


def _milliseconds(instant: datetime | int) -> int:
    return instant if isinstance(instant, int) else to_milliseconds(instant)
