"""Bars as arrays, with what every feature of them begins with."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from shared.rolling import Floats, Integers, lagged, run_ages


def log_ratio(part: Floats, whole: Floats) -> Floats:
    """ln(part / whole), which keeps the digits of a part close to the whole.

    From the smaller of the two it is the same with its sign turned, up as down, and no fall is too deep for it.
    """
    apart = part - whole
    return np.asarray(np.sign(apart) * np.log1p(np.abs(apart) / np.minimum(part, whole)), dtype=np.float64)


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
    """What share of a window's bars must be there for its mean. All, for a reader; a model has to go on after a gap."""

    def __len__(self) -> int:
        return len(self.open_time)

    def part(self, first: int, last: int) -> "Bars":
        """Return the bars at the positions [first, last)."""
        names = (field.name for field in fields(self) if field.name not in _NO_ARRAYS)
        return replace(self, **cast("Any", {name: getattr(self, name)[first:last] for name in names}))

    def on_grid(self, least_share: float) -> "Bars":
        """Return the same bars with one for every interval, of NaN where one is missing, and that much patience.

        What a missing bar takes part in itself has no value in either form.
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
        """How many bars of its unbroken run come before each bar."""
        return run_ages(self.open_time, self.interval_ms)

    @cached_property
    def log_return(self) -> Floats:
        """ln(close / previous close)."""
        return log_ratio(self.close, lagged(self.close, 1, self.age))

    @cached_property
    def change(self) -> Floats:
        """Close less previous close."""
        return self.close - lagged(self.close, 1, self.age)

    @cached_property
    def log_range(self) -> Floats:
        """ln(high / low)."""
        return log_ratio(self.high, self.low)

    @cached_property
    def true_range(self) -> Floats:
        """The largest of high - low, |high - previous close| and |low - previous close|."""
        previous = lagged(self.close, 1, self.age)
        return np.maximum(self.high, previous) - np.minimum(self.low, previous)
