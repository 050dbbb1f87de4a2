"""Bars as arrays, with the series from which the features are computed."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from shared.rolling import Floats, Integers, count_run_ages, lag


def log_ratio(part: Floats, whole: Floats) -> Floats:
    """Return ln(part / whole), with full precision also when the two are nearly equal.

    It takes log1p of the difference over the smaller one, and the sign of the difference. So swapping the two only
    changes the sign, and no ratio is too small.
    """
    difference = part - whole
    return np.asarray(np.sign(difference) * np.log1p(np.abs(difference) / np.minimum(part, whole)), dtype=np.float64)


_NO_ARRAYS = ("interval_ms", "least_share")


@dataclass(frozen=True)
class Bars:
    """Bars of one interval, oldest first, as arrays of one length; gaps show as steps longer than `interval_ms`.

    Prices are in quote currency, `volume` and `taker_base_volume` in base, `quote_volume` in quote currency.
    """

    open_time: Integers
    """Open in ms since 1970 UTC, strictly increasing."""
    interval_ms: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    quote_volume: Floats
    trades: Floats
    taker_base_volume: Floats
    least_share: float = 1.0
    """The share of a window's bars that must exist for its mean: all for readers, fewer for a model."""

    def __len__(self) -> int:
        return len(self.open_time)

    def part(self, first: int, last: int) -> "Bars":
        """Return the bars at the positions [first, last)."""
        names = (field.name for field in fields(self) if field.name not in _NO_ARRAYS)
        return replace(self, **cast("Any", {name: getattr(self, name)[first:last] for name in names}))

    def on_grid(self, least_share: float) -> "Bars":
        """Return the bars on a full grid, with a bar of NaN for each missing one, and with this `least_share`.

        Values that a missing bar enters directly, such as its return, are NaN with and without the grid.
        """
        if not len(self):
            return replace(self, least_share=least_share)
        first, step = int(self.open_time[0]), self.interval_ms
        grid = np.arange(first, int(self.open_time[-1]) + step, step, dtype=np.int64)
        position = (self.open_time - first) // step
        spread = {}
        for name in (field.name for field in fields(self) if field.name not in {"open_time", *_NO_ARRAYS}):
            spread[name] = np.full(len(grid), np.nan)
            spread[name][position] = getattr(self, name)
        return replace(self, open_time=grid, least_share=least_share, **cast("Any", spread))

    @cached_property
    def age(self) -> Integers:
        """For each bar, how many bars of its unbroken run come before it."""
        return count_run_ages(self.open_time, self.interval_ms)

    @cached_property
    def log_return(self) -> Floats:
        """ln(close / previous close)."""
        return log_ratio(self.close, lag(self.close, 1, self.age))

    @cached_property
    def change(self) -> Floats:
        """Close less previous close."""
        return self.close - lag(self.close, 1, self.age)

    @cached_property
    def log_range(self) -> Floats:
        """ln(high / low)."""
        return log_ratio(self.high, self.low)

    @cached_property
    def true_range(self) -> Floats:
        """The largest of high - low, |high - previous close| and |low - previous close|."""
        previous = lag(self.close, 1, self.age)
        return np.maximum(self.high, previous) - np.minimum(self.low, previous)
