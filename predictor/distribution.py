"""Forecasts as prices: a point, and intervals about it, from variances and their calibration."""

from dataclasses import dataclass

import numpy as np

from predictor.inputs import Minutes
from predictor.intervals import Calibration
from shared.rolling import Floats, Integers


@dataclass(frozen=True)
class Distributions:
    """Forecasts by (row, horizon) in quote currency; bounds by (level, row, horizon), NaN where there is none."""

    horizons: tuple[int, ...]
    point: Floats
    lower: Floats
    upper: Floats
    variances: Floats


def distribute(
    minutes: Minutes, rows: Integers, variances: Floats, calibration: Calibration, scales: Floats
) -> Distributions:
    """Make forecasts at the close of the minutes at `rows`, increasing, from their variances.

    `scales`, of shape (rows, horizons), are what reaches are multiplied by for their hour of the day. The point is the
    last price: no other one has been better than that out of sample.
    """
    base = minutes.bars.close[rows][:, np.newaxis]
    reach = calibration.quantiles(minutes.open_time[rows], variances) * np.sqrt(variances) * scales
    return Distributions(
        horizons=calibration.horizons,
        point=np.repeat(base, len(calibration.horizons), axis=1),
        lower=base * np.exp(-reach),
        upper=base * np.exp(reach),
        variances=variances,
    )
