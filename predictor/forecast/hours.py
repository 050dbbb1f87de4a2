"""What intervals owe each hour of the day: an hour that they held too little of lately has wider ones, and the reverse.

Adaptive conformal inference (Gibbs and Candès 2021), an hour of the day and a horizon at a time: by how much coverage
at 80 % fell short is summed up day by day, and reaches grow with the sum, so that over a long time no hour of the day
can stay short. What it bought is in docs/forecasting.md.
"""

from dataclasses import dataclass

import numpy as np

from shared.instant import DAY_MS, HOUR_MS, MINUTE_MS
from shared.rolling import Floats, Integers

LEVEL = 80
# How much further intervals reach, as a logarithm, for each day's worth of coverage that is owed; and at most.
_RATE = 0.03
_REACH_MOST = 0.3
# A day's forecasts have all met their targets, of a day ahead at most, when the day after the next begins.
_LAG_MS = 2 * DAY_MS


@dataclass(frozen=True)
class Hours:
    """The debts, and up to which day forecasts are counted."""

    debts: Floats
    """Of shape (horizons, 24), by the UTC hour in which forecasts were made: in days of full coverage."""
    settled_to_ms: int
    """The beginning of the first day that is not counted."""

    def scales(self, made_at: Integers) -> Floats:
        """Return by what the reaches of forecasts made then are multiplied, of shape (rows, horizons)."""
        factors = np.exp(np.clip(_RATE * self.debts, -_REACH_MOST, _REACH_MOST))
        return np.asarray(factors[:, made_at // HOUR_MS % 24].T)

    def settled(self, until_ms: int, made_at: Integers, shares: Floats) -> "Hours":
        """Return the debts with every whole day before `until_ms` counted.

        `shares` are the returns that came, as shares of the 80 % reach before it was scaled: of shape (rows, horizons),
        NaN where none came.
        """
        hours = self
        while hours.settled_to_ms + DAY_MS <= until_ms:
            first, last = np.searchsorted(made_at, [hours.settled_to_ms, hours.settled_to_ms + DAY_MS])
            hours = hours._with_day(made_at[first:last], shares[first:last])
        return hours

    def _with_day(self, made_at: Integers, shares: Floats) -> "Hours":
        hour = made_at // HOUR_MS % 24
        debts = self.debts.copy()
        scales = self.scales(made_at)
        for position in range(len(debts)):
            known = np.isfinite(shares[:, position])
            count = np.bincount(hour[known], minlength=24)
            held = np.bincount(hour[known], shares[known, position] <= scales[known, position], minlength=24)
            debts[position] += np.where(count > 0, LEVEL / 100.0 - held / np.maximum(count, 1), 0.0)
        return Hours(debts, self.settled_to_ms + DAY_MS)


def no_hours(horizons: int, made_at_ms: int) -> Hours:
    """Nothing owed, and nothing counted before the day of that instant."""
    return Hours(np.zeros((horizons, 24)), made_at_ms // DAY_MS * DAY_MS)


def settled_before(made_at_ms: int) -> int:
    """Return up to where days are counted for forecasts made then: those whose targets have all come for sure."""
    return (made_at_ms // DAY_MS + 1) * DAY_MS - _LAG_MS


def walked(hours: Hours, made_at: Integers, shares: Floats, asked: Integers) -> Floats:
    """Return the scales of forecasts made at `asked`, increasing, each by what was settled before its day."""
    result = np.ones((len(asked), len(hours.debts)))
    days = asked // DAY_MS * DAY_MS
    for day_ms in np.unique(days):
        hours = hours.settled(settled_before(int(day_ms)), made_at, shares)
        first, last = np.searchsorted(days, [day_ms, day_ms + 1])
        result[first:last] = hours.scales(asked[first:last])
    return result


def on_grid(open_time: Integers) -> Integers:
    """Return which of these minutes' closes are looked at: every fifth says as much as all of them."""
    return np.flatnonzero((open_time // MINUTE_MS + 1) % 5 == 0)
