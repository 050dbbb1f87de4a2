"""Scores of forecasts, each the smaller the better but for coverage; all by array."""

import numpy as np
import numpy.typing as npt

from shared.levels import LEVELS
from shared.rolling import Floats

Flags = npt.NDArray[np.bool_]


def compute_qlike(realised_variance: Floats, variance: Floats) -> Floats:
    """Return v / s² - ln(v / s²) - 1 of the realised variance v and the forecast one s² (Patton 2011).

    It is 0 for a perfect forecast, and NaN where nothing moved.
    """
    ratio = np.where(realised_variance > 0, realised_variance / variance, np.nan)
    return np.asarray(ratio - np.log(ratio) - 1.0)


def compute_winkler(actual: Floats, lower: Floats, upper: Floats, level: int) -> Floats:
    """The interval score (Winkler 1972): its width, and 2/α times how far the outcome lies outside."""
    miss = np.maximum(lower - actual, 0.0) + np.maximum(actual - upper, 0.0)
    return upper - lower + 2.0 / (1.0 - level / 100.0) * miss


def is_covered(actual: Floats, lower: Floats, upper: Floats) -> Flags:
    """Whether the outcome lies in the interval, its ends included."""
    return np.asarray((lower <= actual) & (actual <= upper))


def compute_pinball(actual: Floats, point: Floats, lower: Floats, upper: Floats) -> Floats:
    """Mean pinball loss (Koenker and Bassett 1978) of the quantiles that are stated; bounds are (levels, rows)."""
    losses = [_pinball_of(actual, point, 0.5)]
    for position, level in enumerate(LEVELS):
        below = (1.0 - level / 100.0) / 2.0
        losses += [_pinball_of(actual, lower[position], below), _pinball_of(actual, upper[position], 1.0 - below)]
    return np.asarray(np.mean(losses, axis=0))


def _pinball_of(actual: Floats, forecast: Floats, share: float) -> Floats:
    difference = actual - forecast
    return np.maximum(share * difference, (share - 1.0) * difference)
