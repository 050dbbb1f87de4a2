"""Makes intervals wider in hours of the day in which they have covered too little of late, and narrower in the others.

Adaptive conformal inference (Gibbs and Candès 2021), an hour of the day and a horizon at a time: by how much coverage
at 80 % fell short is summed up day by day, and intervals widen with the sum, so that over a long time no hour of the
day can stay short. What it bought is in docs/forecasting.md.
"""

from dataclasses import dataclass

import numpy as np

from shared.instant import DAY_MS, HOUR_MS, MINUTE_MS
from shared.levels import JUDGED_LEVELS
from shared.rolling import Floats, Integers

LEVEL = JUDGED_LEVELS[0]
# How much wider intervals become, as a logarithm, for each day's worth of coverage that is missing; and at most.
_RATE = 0.03
_LARGEST_CHANGE = 0.3
# A day's forecasts have all met their targets, of a day ahead at most, when the day after the next begins.
_LAG_MS = 2 * DAY_MS


@dataclass(frozen=True)
class HourlyCoverage:
    """By how much coverage has fallen short in each hour of the day, and up to which day it is counted."""

    shortfalls: Floats
    """Of shape (horizons, 24), by the UTC hour in which forecasts were made: in days of full coverage."""
    counted_to_ms: int
    """The beginning of the first day that is not counted."""

    def scales(self, made_at: Integers) -> Floats:
        """Return by what the widths of forecasts made then are multiplied, of shape (rows, horizons)."""
        factors = np.exp(np.clip(_RATE * self.shortfalls, -_LARGEST_CHANGE, _LARGEST_CHANGE))
        return np.asarray(factors[:, made_at // HOUR_MS % 24].T)

    def count_until(self, until_ms: int, made_at: Integers, shares: Floats) -> "HourlyCoverage":
        """Return the coverage with every whole day before `until_ms` counted.

        `shares` are the returns that came, as shares of the 80 % reach before it was scaled: of shape (rows, horizons),
        NaN where none came.
        """
        hours = self
        while hours.counted_to_ms + DAY_MS <= until_ms:
            first, last = np.searchsorted(made_at, [hours.counted_to_ms, hours.counted_to_ms + DAY_MS])
            hours = hours._count_day(made_at[first:last], shares[first:last])
        return hours

    def _count_day(self, made_at: Integers, shares: Floats) -> "HourlyCoverage":
        hour = made_at // HOUR_MS % 24
        shortfalls = self.shortfalls.copy()
        scales = self.scales(made_at)
        for position in range(len(shortfalls)):
            known = np.isfinite(shares[:, position])
            count = np.bincount(hour[known], minlength=24)
            covered = np.bincount(hour[known], shares[known, position] <= scales[known, position], minlength=24)
            shortfalls[position] += np.where(count > 0, LEVEL / 100.0 - covered / np.maximum(count, 1), 0.0)
        return HourlyCoverage(shortfalls, self.counted_to_ms + DAY_MS)


def start_counting(horizons: int, made_at_ms: int) -> HourlyCoverage:
    """Return a coverage without a shortfall, in which nothing before the day of that instant is counted."""
    return HourlyCoverage(np.zeros((horizons, 24)), made_at_ms // DAY_MS * DAY_MS)


def find_count_end(made_at_ms: int) -> int:
    """Return up to where days are counted for forecasts made then: those whose targets have all come for sure."""
    return (made_at_ms // DAY_MS + 1) * DAY_MS - _LAG_MS


def scale_day_by_day(hours: HourlyCoverage, made_at: Integers, shares: Floats, asked: Integers) -> Floats:
    """Return the scales of forecasts made at `asked`, increasing, each by what was counted before its day."""
    result = np.ones((len(asked), len(hours.shortfalls)))
    days = asked // DAY_MS * DAY_MS
    for day_ms in np.unique(days):
        hours = hours.count_until(find_count_end(int(day_ms)), made_at, shares)
        first, last = np.searchsorted(days, [day_ms, day_ms + 1])
        result[first:last] = hours.scales(asked[first:last])
    return result


def find_counted(open_time: Integers) -> Integers:
    """Return the positions of the minutes whose forecasts are counted: every fifth says as much as all of them."""
    return np.flatnonzero((open_time // MINUTE_MS + 1) % 5 == 0)
