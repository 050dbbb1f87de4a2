"""What the model sees at the close of a minute: features of the record as logarithms, and the minute of the week.

Everything comes from `shared.features`, but a window may lack up to half of its minutes, and is then the mean over
those that are there: a model that waited until a whole day is without a gap would be silent for a day after each. No
return spans a missing minute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from shared.bars import Bars
from shared.features import compute
from shared.formulas import day_of_week
from shared.instant import DAY_MS, MINUTE_MS
from shared.rolling import Floats, Integers, rolling_mean, rolling_sum

WEEK_MINUTES = 10_080
LEAST_SHARE = 0.5
DAY_AHEAD = 720
_VARIANCE_FLOOR = 1e-12
_AMOUNT_FLOOR = 1.0
_COUNT_FLOOR = 1e-2
_SQUARE_FLOOR = 1e-3

Kind = Literal["variance", "activity", "shape"]


@dataclass(frozen=True)
class Input:
    """A column of the model: the feature it is made of, how, and which season its window has."""

    feature: str
    window: int
    kind: Kind
    transform: Callable[[Floats, int], Floats]


def _log_variance(values: Floats, window: int) -> Floats:
    """Ln of the variance a minute, from a volatility over `window` minutes."""
    return np.log(np.maximum(values**2 / window, _VARIANCE_FLOOR))


def _log_variance_a_bar(values: Floats, _: int) -> Floats:
    return np.log(np.maximum(values**2, _VARIANCE_FLOOR))


def _log_amount(values: Floats, _: int) -> Floats:
    return np.log(np.maximum(values, _AMOUNT_FLOOR))


def _log_count(values: Floats, _: int) -> Floats:
    return np.log(np.maximum(values, _COUNT_FLOOR))


def _log_square(values: Floats, _: int) -> Floats:
    return np.log(np.maximum(np.nan_to_num(values) ** 2, _SQUARE_FLOOR))


def _centred_share(values: Floats, _: int) -> Floats:
    return np.nan_to_num(values, nan=0.5) - 0.5


def _of(name: str, windows: tuple[int, ...], kind: Kind, transform: Callable[[Floats, int], Floats]) -> list[Input]:
    return [Input(f"{name}_{window}", window, kind, transform) for window in windows]


INPUTS: Mapping[str, Input] = {
    column.feature: column
    for column in (
        *_of("realised_volatility", (5, 15, 60, 360, 1440, 4320), "variance", _log_variance),
        *_of("garman_klass", (1, 5, 15, 60, 360, 1440), "variance", _log_variance_a_bar),
        *_of("bipower_volatility", (15, 60, 360), "variance", _log_variance),
        *_of("mean_quote_volume", (1, 5, 15, 60, 360, 1440), "activity", _log_amount),
        *_of("mean_trades", (5, 15, 60, 1440), "activity", _log_count),
        *_of("range_volatility", (15, 60, 360, 1440), "variance", _log_variance),
        *_of("standardised_return", (5, 15, 30, 60, 180, 360, 720, 1440), "shape", _log_square),
        *_of("downside_share", (15, 60, 360), "shape", _centred_share),
    )
}
# What a plain log-HAR reads (Corsi 2009): all that a short history can be trusted with.
PLAIN = tuple(f"realised_volatility_{window}" for window in (15, 60, 360, 1440))
MINUTE_OF_WEEK = "minute_of_week"
COLUMNS = (*INPUTS, MINUTE_OF_WEEK)
# How many minutes before a forecast its inputs look back on.
MEMORY_MINUTES = max(column.window for column in INPUTS.values()) + 1


@dataclass(frozen=True)
class Minutes:
    """The record's minutes on a grid without holes, NaN where one is missing, with what came after each."""

    bars: Bars

    @classmethod
    def of(cls, bars: Bars) -> "Minutes":
        """Lay one-minute bars out on the grid; raises ValueError for other bars."""
        if bars.interval_ms != MINUTE_MS:
            raise ValueError("the model reads bars of one minute")
        return cls(estimate_quote_volume(bars).on_grid(LEAST_SHARE))

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def open_time(self) -> Integers:
        """Open of each minute, ms since 1970."""
        return self.bars.open_time

    @cached_property
    def is_there(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether the minute is in the record."""
        return np.isfinite(self.bars.close)

    @cached_property
    def minute_of_week(self) -> Integers:
        """0 for Monday 00:00 UTC."""
        return day_of_week(self.bars) * 1440 + self.open_time % DAY_MS // MINUTE_MS

    def index_of(self, time_ms: int) -> int:
        """The position of the minute that opens at `time_ms`, which may lie outside."""
        return int((time_ms - int(self.open_time[0])) // MINUTE_MS) if len(self) else 0

    def realised_variance(self, horizon: int) -> Floats:
        """Sum of the squared log returns of the `horizon` minutes after each one; NaN where one of them is missing."""
        return self._keep(("realised variance", horizon), lambda: self._sum_ahead(self.bars.log_return**2, horizon))

    def log_return(self, horizon: int) -> Floats:
        """ln(close `horizon` minutes later / close); NaN where a minute between is missing."""
        return self._keep(("log return", horizon), lambda: self._sum_ahead(self.bars.log_return, horizon))

    def divide_by_day(self, name: str, values: Callable[[], Floats]) -> Floats:
        """Each minute's value over the mean of the day around it, which takes what is calm and what is wild alike.

        That day reaches DAY_AHEAD minutes past the minute.
        """
        return self._keep(("relative", name), lambda: self._divide_by_day(values()))

    def _divide_by_day(self, values: Floats) -> Floats:
        trailing = rolling_mean(values, 2 * DAY_AHEAD, self.bars.age, self.bars.least_share)
        around = np.full(len(values), np.nan)
        around[:-DAY_AHEAD] = trailing[DAY_AHEAD:]
        return np.asarray(np.divide(values, around, out=np.full(len(values), np.nan), where=around > 0))

    def inputs(self, rows: Integers, names: tuple[str, ...]) -> Floats:
        """The named columns at `rows`, of shape (rows, names), NaN where there is none."""
        columns = np.empty((len(rows), len(names)))
        for position, name in enumerate(names):
            columns[:, position] = self._column(name)[rows]
        return columns

    def share_there(self, window: int) -> Floats:
        """Which share of the last `window` minutes, each one's own included, is in the record; NaN at the beginning."""
        return self._keep(
            ("share", window), lambda: rolling_mean(self.is_there.astype(np.float64), window, self.bars.age)
        )

    def feature(self, name: str) -> Floats:
        """A feature of `shared.features` as it is, by minute."""
        return self._keep(("feature", name), lambda: np.asarray(compute(self.bars, [name])[name], dtype=np.float64))

    def _column(self, name: str) -> Floats:
        if name == MINUTE_OF_WEEK:
            return self.minute_of_week.astype(np.float64)
        return self._keep(("column", name), lambda: self._compute(name))

    def _compute(self, name: str) -> Floats:
        column = INPUTS[name]
        values = np.asarray(compute(self.bars, [name])[name], dtype=np.float64)
        kept = column.transform(values, column.window)
        # A feature that is undefined because nothing moved gets its value from the transform; too few minutes give NaN.
        kept[~(self.share_there(column.window) >= LEAST_SHARE)] = np.nan
        return kept.astype(np.float32)

    def _keep(self, key: tuple[str, str | int], make: Callable[[], Floats]) -> Floats:
        """Return the array of that key, made at the first call: a walk through years asks for each many times."""
        if key not in self._arrays:
            self._arrays[key] = make()
        return self._arrays[key]

    @cached_property
    def _arrays(self) -> dict[tuple[str, str | int], Floats]:
        return {}

    def _sum_ahead(self, values: Floats, horizon: int) -> Floats:
        result = np.full(len(values), np.nan)
        if len(values) > horizon:
            result[:-horizon] = rolling_sum(values, horizon, self.bars.age)[horizon:]
        return result


def estimate_quote_volume(bars: Bars) -> Bars:
    """Return bars whose quote volume, where their source does not tell it, is the volume at the typical price.

    That price is (high + low + close) / 3. Only the model reads this estimate: without it the point over one minute
    loses a third of what it is better by.
    """
    is_untold = np.isnan(bars.quote_volume)
    if not is_untold.any():
        return bars
    typical = (bars.high + bars.low + bars.close) / 3.0
    return replace(bars, quote_volume=np.where(is_untold, bars.volume * typical, bars.quote_volume))
