"""Bars as arrays, with what every feature of them begins with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.rolling import Floats, Integers, lagged, run_ages


def log_ratio(part: Floats, whole: Floats) -> Floats:
    """ln(part / whole), which keeps the digits of a part close to the whole.

    From the smaller of the two it is the same with its sign turned, up as down, and no fall is too deep for it.
    """
    apart = part - whole
    return np.asarray(np.sign(apart) * np.log1p(np.abs(apart) / np.minimum(part, whole)), dtype=np.float64)


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

    def __len__(self) -> int:
        return len(self.open_time)

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
