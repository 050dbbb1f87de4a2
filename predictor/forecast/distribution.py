"""Forecasts as prices: a point, and intervals about it, from a model's forecasts and their calibration."""

from dataclasses import dataclass

import numpy as np

from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import ABOUT_POINT, Calibration
from predictor.forecast.track import Track
from shared.levels import LEVELS
from shared.rolling import Floats, Integers


@dataclass(frozen=True)
class Distributions:
    """Forecasts by (row, horizon) in quote currency; bounds by (level, row, horizon), NaN where there is none."""

    horizons: tuple[int, ...]
    point: Floats
    lower: Floats
    upper: Floats
    variances: Floats
    probability_up: Floats


def distribute(
    minutes: Minutes, rows: Integers, forecasts: Track, calibration: Calibration, scales: Floats
) -> Distributions:
    """Make prices of the `forecasts` made at the close of the minutes at `rows`, increasing.

    `scales`, of shape (rows, horizons), are what reaches are multiplied by for their hour of the day.
    """
    base = minutes.bars.close[rows][:, np.newaxis]
    reach = calibration.quantiles(forecasts.open_time, forecasts.variances) * np.sqrt(forecasts.variances) * scales
    centre = forecasts.drifts * np.asarray([level in ABOUT_POINT for level in LEVELS])[:, np.newaxis, np.newaxis]
    return Distributions(
        horizons=calibration.horizons,
        point=base * np.exp(forecasts.drifts),
        # One level's interval lies in the next one's, though they have different centres.
        lower=base * np.exp(np.minimum.accumulate(centre - reach)),
        upper=base * np.exp(np.maximum.accumulate(centre + reach)),
        variances=forecasts.variances,
        probability_up=_probability_up(forecasts.drifts, reach),
    )


def _probability_up(drifts: Floats, reach: Floats) -> Floats:
    """The chance that the price rises: half, and what lies between the last price and the point.

    How much that is follows from the shares that the intervals about the point are to hold, taken as even within each.
    """
    between = np.zeros_like(drifts)
    size, inner_reach, inner_share = np.abs(drifts), np.zeros_like(drifts), 0.0
    for level, outer_reach in zip(LEVELS, np.maximum.accumulate(reach), strict=True):
        width = outer_reach - inner_reach
        inside = np.clip(size - inner_reach, 0.0, width)
        filled = np.divide(inside, width, out=(size > inner_reach).astype(np.float64), where=width > 0)
        between += filled * (level / 100.0 - inner_share)
        inner_reach, inner_share = outer_reach, level / 100.0
    return np.asarray(0.5 + 0.5 * np.sign(drifts) * between)
