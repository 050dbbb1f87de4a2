"""The point: how far the price is expected to revert by the target, where that was more accurate than the last price.

A ridge regression of the return over the horizon on recent returns and on how far the price is from what was paid on
average of late, all in units of the volatility of the last day. Minutes that close at a multiple of five, when clocks
make programs trade, are learned apart from the others.

The rule: the last price stays the point unless, on the last 28 days before the training's end, which the regression
that is tried on them has not seen, R² out of sample is above 0 and Diebold and Mariano's statistic (1995) of the
absolute errors is above 2, its variance by Newey and West (1987) with a lag of at least the horizon. The regression
that serves is then learned anew, those days included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge

from predictor.forecast.inputs import Minutes
from shared.instant import MINUTE_MS
from shared.rolling import Floats, Integers

_RETURNS = (1, 5, 15, 60)
_DISTANCES = (1, 5, 15, 60)
_VOLATILITIES = ("realised_volatility_60", "realised_volatility_1440")
# How much the last hour and the last day say of the deviation that a return is measured in.
_WEIGHTS = (0.7, 0.3)
_INPUT_BOUND = 3.0
_TARGET_BOUND = 3.0
_RIDGE = 0.01
_FIT_MINUTES = 90 * 1440
_FIT_MINUTES_MIN = 28 * 1440
_TEST_MINUTES = 28 * 1440
_CLOCK_MINUTES = 5
# A mean of ones may be less by rounding.
_WHOLE = 1.0 - 1e-9
_BETTER = 2.0


@dataclass(frozen=True)
class Point:
    """Regressions of minutes on the five-minute clock and of the others, in this order, and whether each may serve."""

    horizons: tuple[int, ...]
    coefficients: Floats
    """Of shape (2, horizons, columns)."""
    r_squared: Floats
    """Out of sample, of shape (2, horizons); NaN where there was too little to try it on."""
    statistic: Floats
    """Diebold and Mariano's, of the same shape."""

    @property
    def is_used(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where the rule lets the regression serve."""
        return (self.r_squared > 0.0) & (self.statistic > _BETTER)

    def drifts(self, minutes: Minutes, rows: Integers) -> Floats:
        """Return the log returns expected over each horizon, (rows, horizons); 0 where the last price is the point."""
        result = np.zeros((len(rows), len(self.horizons)))
        if not self.is_used.any():
            return result
        columns, deviation = _columns(minutes, rows), _deviation(minutes, rows)
        for group, coefficients in enumerate(self.coefficients * self.is_used[:, :, np.newaxis]):
            of_group = _group(minutes, rows) == group
            result[of_group] = columns[of_group] @ coefficients.T * deviation[of_group, np.newaxis]
        return np.nan_to_num(result * np.sqrt(self.horizons))

    @property
    def sentence(self) -> str:
        """Which points are not the last price, and how well they did."""
        used = [
            f"{'multiples of five minutes' if group == 0 else 'other minutes'} over {self.horizons[position]} min "
            f"(R² {100.0 * self.r_squared[group, position]:.2f} %, DM {self.statistic[group, position]:.1f})"
            for group, position in np.argwhere(self.is_used)
        ]
        return f"The point is the last price{', but not for ' + ', '.join(used) if used else ''}."


def learn_point(minutes: Minutes, first: int, last: int, horizons: Sequence[int]) -> Point:
    """Learn from the minutes [first, last), targets included."""
    shape = (2, len(horizons))
    coefficients = np.zeros((*shape, len(_RETURNS) + len(_DISTANCES)))
    r_squared, statistic = np.full(shape, np.nan), np.full(shape, np.nan)
    test = last - _TEST_MINUTES
    if test - first >= _FIT_MINUTES_MIN:
        rows = np.arange(max(first, test - _FIT_MINUTES), last, dtype=np.int64)
        columns, deviation, groups = _columns(minutes, rows), _deviation(minutes, rows), _group(minutes, rows)
        whole = np.isfinite(columns).all(axis=1) & np.isfinite(deviation)
        for group in (0, 1):
            part = np.flatnonzero(whole & (groups == group))
            spacing = _CLOCK_MINUTES if group == 0 else 1
            for position, horizon in enumerate(horizons):
                unit = deviation[part] * np.sqrt(horizon)
                returned = minutes.log_return(horizon)[rows[part]]
                seen = _Seen(rows[part], columns[part], np.where(unit > 0, returned / unit, np.nan))
                tried = seen.fit(rows[0], test - horizon)
                late = np.flatnonzero((seen.rows >= test) & (seen.rows < last - horizon) & np.isfinite(seen.targets))
                expected = seen.columns[late] @ tried * unit[late]
                r_squared[group, position], statistic[group, position] = compare(
                    returned[late], expected, -(-horizon // spacing)
                )
                coefficients[group, position] = seen.fit(last - _FIT_MINUTES, last - horizon)
    return Point(tuple(horizons), coefficients, r_squared, statistic)


def compare(returned: Floats, expected: Floats, lag: int) -> tuple[float, float]:
    """Return R² out of sample against a forecast of 0, and Diebold and Mariano's statistic of the absolute errors.

    The statistic is positive where `expected` is nearer; autocovariances up to `lag` forecasts count. Both are NaN
    where there are too few forecasts for so long a lag, or nothing moved.
    """
    if len(returned) <= 10 * lag or not returned.any():
        return float("nan"), float("nan")
    gain = np.abs(returned) - np.abs(returned - expected)
    centred = gain - gain.mean()
    variance = centred @ centred
    for step in range(1, lag + 1):
        variance += 2.0 * (1.0 - step / (lag + 1)) * (centred[step:] @ centred[:-step])
    r_squared = 1.0 - np.sum((returned - expected) ** 2) / np.sum(returned**2)
    deviation = np.sqrt(variance) / len(gain)
    return float(r_squared), float(gain.mean() / deviation) if deviation > 0 else float("nan")


@dataclass(frozen=True)
class _Seen:
    """What can be learned from: minutes, their columns, and the returns that followed in units of their deviation."""

    rows: Integers
    columns: Floats
    targets: Floats

    def fit(self, first: int, last: int) -> Floats:
        """Ridge regression without a constant on the minutes in [first, last)."""
        part = np.flatnonzero((self.rows >= first) & (self.rows < last) & np.isfinite(self.targets))
        columns, targets = self.columns[part], np.clip(self.targets[part], -_TARGET_BOUND, _TARGET_BOUND)
        ridge = Ridge(alpha=_RIDGE * len(part) + 1.0, fit_intercept=False, solver="cholesky")
        return np.asarray(ridge.fit(columns, targets).coef_)


def _group(minutes: Minutes, rows: Integers) -> Integers:
    closes = minutes.open_time[rows] // MINUTE_MS + 1
    return np.asarray(closes % _CLOCK_MINUTES != 0).astype(np.int64)


def _columns(minutes: Minutes, rows: Integers) -> Floats:
    """Returns, and distances from the mean price paid, over what a window of the deviation would bring."""
    deviation = _deviation(minutes, rows)
    values = [np.log1p(minutes.feature(f"return_{window}")[rows]) / np.sqrt(window) for window in _RETURNS]
    # Without trades, or amounts, there is no mean price, and nothing to revert to.
    values += [
        np.nan_to_num(np.log1p(minutes.feature(f"vwap_distance_{window}")[rows])) / np.sqrt(window)
        for window in _DISTANCES
    ]
    scaled = np.column_stack(values) / np.where(deviation > 0, deviation, np.nan)[:, np.newaxis]
    # No return spans a missing minute: after one the last price is the point, until the hour is whole again.
    scaled[minutes.share_there(max(_RETURNS) + 1)[rows] < _WHOLE] = np.nan
    return np.asarray(np.clip(scaled, -_INPUT_BOUND, _INPUT_BOUND))


def _deviation(minutes: Minutes, rows: Integers) -> Floats:
    """The deviation of a minute's log return, from the last hour and the last day."""
    return np.asarray(np.sqrt(np.exp(minutes.inputs(rows, _VOLATILITIES)) @ np.asarray(_WEIGHTS)))
