"""Intervals of bars, on a grid that begins at midnight UTC. A new one is a line in the list below."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from shared.instant import DAY, EPOCH, MINUTE

RecordTable = Literal["ticks", "hourly_rollups", "daily_rollups"]


@dataclass(frozen=True)
class Interval:
    """A bar's length; a bar is named by its open, and put together from the rows of its table."""

    name: str
    length: timedelta
    table: RecordTable

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


_HOUR: Final = 60 * MINUTE

# A length divides a day. What is shorter than an hour comes from ticks, and what is shorter than a day from hours.
_ALL: Final = (
    Interval("1m", MINUTE, "ticks"),
    Interval("5m", 5 * MINUTE, "ticks"),
    Interval("15m", 15 * MINUTE, "ticks"),
    Interval("30m", 30 * MINUTE, "ticks"),
    Interval("1h", _HOUR, "hourly_rollups"),
    Interval("4h", 4 * _HOUR, "hourly_rollups"),
    Interval("1d", DAY, "daily_rollups"),
)
INTERVALS: Final = {interval.name: interval for interval in _ALL}
ONE_MINUTE: Final = INTERVALS["1m"]
ONE_HOUR: Final = INTERVALS["1h"]
ONE_DAY: Final = INTERVALS["1d"]
