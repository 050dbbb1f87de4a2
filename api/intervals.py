"""Intervals of bars, on a grid that begins at midnight UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.instant import DAY, EPOCH, MINUTE


@dataclass(frozen=True)
class Interval:
    """A bar's length; a bar is named by its open."""

    name: str
    length: timedelta

    @property
    def minutes(self) -> int:
        """How many minutes a bar has."""
        return self.length // MINUTE

    def floor(self, instant: datetime) -> datetime:
        """The open of the bar that holds `instant`."""
        return instant - (instant - EPOCH) % self.length

    def ceil(self, instant: datetime) -> datetime:
        """The first open that is not before `instant`."""
        return instant + (EPOCH - instant) % self.length


ONE_MINUTE = Interval("1m", MINUTE)
ONE_HOUR = Interval("1h", 60 * MINUTE)
ONE_DAY = Interval("1d", DAY)
INTERVALS = {
    interval.name: interval
    for interval in (
        ONE_MINUTE,
        Interval("5m", 5 * MINUTE),
        Interval("15m", 15 * MINUTE),
        Interval("30m", 30 * MINUTE),
        ONE_HOUR,
        Interval("4h", 240 * MINUTE),
        ONE_DAY,
    )
}
