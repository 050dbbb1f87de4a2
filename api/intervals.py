"""Intervals of bars, on a grid that begins at midnight UTC. A new one is a line in the list below."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from shared.instant import DAY, EPOCH, MINUTE

_HOUR: Final = 60 * MINUTE

RecordTable = Literal["ticks", "hourly_rollups", "daily_rollups"]


@dataclass(frozen=True)
class Interval:
    """A bar's length; a bar is named by its open, and put together from the rows of its table."""

    name: str
    length: timedelta

    def __post_init__(self) -> None:
        """Refuse a length whose bars would cross an hour or a day: ticks are grouped by hour, and hours by day."""
        if not (_divides(self.length, _HOUR) or (_divides(_HOUR, self.length) and _divides(self.length, DAY))):
            raise ValueError(
                f"{self.name} is no interval: its length must divide an hour, or be whole hours that divide a day."
            )

    @property
    def table(self) -> RecordTable:
        """The table whose rows bars are made from: ticks below an hour, hours below a day, and days."""
        if self.length < _HOUR:
            return "ticks"
        return "hourly_rollups" if self.length < DAY else "daily_rollups"

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


def _divides(part: timedelta, whole: timedelta) -> bool:
    return not whole % part


_ALL: Final = (
    Interval("1m", MINUTE),
    Interval("5m", 5 * MINUTE),
    Interval("15m", 15 * MINUTE),
    Interval("30m", 30 * MINUTE),
    Interval("1h", _HOUR),
    Interval("4h", 4 * _HOUR),
    Interval("1d", DAY),
)
INTERVALS: Final = {interval.name: interval for interval in _ALL}
ONE_MINUTE: Final = INTERVALS["1m"]
ONE_HOUR: Final = INTERVALS["1h"]
ONE_DAY: Final = INTERVALS["1d"]
