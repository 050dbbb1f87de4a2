"""The gate: which of two models is to serve, by a rule that is written down, on days that neither has seen.

The rule: on the days held out, every five minutes and with the same calibration, the challenger's mean ratio to the
champion, over horizons and over QLIKE and the interval scores at 80 and 95 %, must be below 1.
"""

from typing import NamedTuple

import numpy as np

from predictor.forecast.champion import Champion
from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import ABOUT_POINT, Calibration
from predictor.forecast.scores import compute_qlike, compute_winkler
from predictor.forecast.track import Track
from shared.instant import DAY_MS, MINUTE_MS
from shared.levels import JUDGED_LEVELS, LEVELS
from shared.rolling import Floats, Integers

_ROWS_MIN = 100


class Decision(NamedTuple):
    """Whether the challenger replaces the champion, and a sentence why."""

    is_better: bool
    reason: str


def decide(minutes: Minutes, rows: Integers, challenger: Champion, champion: Champion) -> Decision:
    """Compare two models, with one calibration, at the minutes `rows`, both trained on earlier ones only."""
    ours, theirs = challenger.model.forecasts(minutes, rows), champion.model.forecasts(minutes, rows)
    seen = np.flatnonzero(np.isfinite(ours.variances).all(axis=1) & np.isfinite(theirs.variances).all(axis=1))
    if len(seen) < _ROWS_MIN:
        return Decision(is_better=False, reason="Too few minutes of the last days are there to compare the models on.")
    rows, ours, theirs = rows[seen], ours.at(seen), theirs.at(seen)
    open_time = minutes.open_time[rows]
    before = champion.track.until(int(open_time[0]))
    calibration = Calibration(minutes, before if len(before) else challenger.track, champion.horizons)
    ratio = float(np.mean(_scores(minutes, rows, ours, calibration) / _scores(minutes, rows, theirs, calibration)))
    days = (int(open_time[-1]) - int(open_time[0]) + 5 * MINUTE_MS) / DAY_MS
    compared = f"over the last {days:.1f} days, held out, the challenger's mean score is {ratio:.4f} of the champion's"
    if ratio < 1.0:
        return Decision(is_better=True, reason=f"The challenger replaces the champion: {compared}.")
    return Decision(is_better=False, reason=f"The champion stays: {compared}.")


def _scores(minutes: Minutes, rows: Integers, forecasts: Track, calibration: Calibration) -> Floats:
    """Mean QLIKE and interval scores of each horizon, of shape (3, horizons)."""
    # What is known when the days begin will do for the comparison, and is quick.
    as_of_ms = int(forecasts.open_time[0])
    quantiles = calibration.quantiles(forecasts.open_time, forecasts.variances, as_of_ms)
    scores = []
    for position, horizon in enumerate(calibration.horizons):
        actual = minutes.log_return(horizon)[rows]
        variances = forecasts.variances[:, position]
        row = [np.nanmean(compute_qlike(minutes.realised_variance(horizon)[rows], variances))]
        for level in JUDGED_LEVELS:
            reach = quantiles[LEVELS.index(level), :, position] * np.sqrt(variances)
            middle = forecasts.drifts[:, position] * (level in ABOUT_POINT)
            row.append(np.nanmean(compute_winkler(actual, middle - reach, middle + reach, level)))
        scores.append(row)
    return np.asarray(scores).T
