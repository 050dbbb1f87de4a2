"""What forecasts are compared with: a plain log-HAR with split conformal intervals, and intervals of constant width.

The log-HAR (Corsi 2009) regresses the logarithm of a horizon's realised variance on those of the last 15, 60, 360 and
1440 minutes, anew each day over the last 30, and is scaled to the mean; horizons below 15 minutes take the next 15
minutes' variance. Its intervals are the conformal quantiles of the last 14 days; those of constant width, of the last
30.
"""

from dataclasses import dataclass

import numpy as np

from predictor.forecast.inputs import Minutes
from shared.instant import DAY_MS, MINUTE_MS
from shared.levels import LEVELS
from shared.rolling import Floats, Integers, rolling_sum

_WINDOWS = (15, 60, 360, 1440)
_SHORTEST_TARGET = 15
_FIT_DAYS = 30
_CONFORMAL_DAYS = 14
_ROWS_MIN = 200
_STEP = 5


@dataclass(frozen=True)
class Band:
    """A variance and half widths of log return intervals, (levels, rows), for one horizon; NaN where there is none."""

    variance: Floats
    reach: Floats


def forecast_log_har(minutes: Minutes, rows: Integers, horizon: int) -> Band:
    """The reference's forecasts at `rows`, which are increasing."""
    target = max(horizon, _SHORTEST_TARGET)
    squares = minutes.bars.log_return**2
    age = minutes.bars.age
    grid = _grid(minutes, rows, _FIT_DAYS + _CONFORMAL_DAYS + 1)
    logs = [np.log(np.maximum(rolling_sum(squares, window, age)[grid] / window, 1e-12)) for window in _WINDOWS]
    design = np.column_stack([np.ones(len(grid)), *logs])
    ahead = minutes.realised_variance(target)[grid]
    realised = minutes.realised_variance(horizon)[grid]
    made_at = minutes.open_time[grid] + MINUTE_MS
    variance = np.full(len(grid), np.nan)
    whole = np.isfinite(design).all(axis=1)
    for now, until in _days(made_at):
        seen = _seen(made_at, now, _FIT_DAYS, target)
        fit = seen[whole[seen] & (ahead[seen] > 0)]
        if len(fit) < _ROWS_MIN:
            continue
        b = np.linalg.lstsq(design[fit], np.log(ahead[fit]), rcond=None)[0]
        known = fit[np.isfinite(realised[fit])]
        scale = realised[known].mean() / np.exp(design[known] @ b).mean()
        today = np.arange(*np.searchsorted(made_at, [now, until]))
        variance[today] = np.exp(design[today] @ b) * scale
    reach = _conformal(minutes, grid, made_at, variance, horizon, _CONFORMAL_DAYS)
    at = np.searchsorted(grid, rows)
    return Band(variance[at], reach[:, at])


def forecast_constant_width(minutes: Minutes, rows: Integers, horizon: int) -> Band:
    """Intervals as wide as the returns of the last 30 days were, whatever the last hour is like."""
    grid = _grid(minutes, rows, _FIT_DAYS + 1)
    made_at = minutes.open_time[grid] + MINUTE_MS
    realised = minutes.realised_variance(horizon)[grid]
    variance = np.full(len(grid), np.nan)
    for now, until in _days(made_at):
        seen = _seen(made_at, now, _FIT_DAYS, horizon)
        known = realised[seen][np.isfinite(realised[seen])]
        if len(known) >= _ROWS_MIN:
            variance[slice(*np.searchsorted(made_at, [now, until]))] = known.mean()
    reach = _conformal(minutes, grid, made_at, np.ones(len(grid)), horizon, _FIT_DAYS)
    at = np.searchsorted(grid, rows)
    return Band(variance[at], reach[:, at])


def _conformal(  # noqa: PLR0913, PLR0917 - what is scored, and over how long
    minutes: Minutes, grid: Integers, made_at: Integers, variance: Floats, horizon: int, days: int
) -> Floats:
    """Half widths, (levels, grid), from each day's start: the quantiles of the scores of the days before it."""
    deviation = np.sqrt(variance)
    scores = np.abs(minutes.log_return(horizon)[grid]) / deviation
    reach = np.full((len(LEVELS), len(grid)), np.nan)
    for now, until in _days(made_at):
        seen = scores[_seen(made_at, now, days, horizon)]
        seen = seen[np.isfinite(seen)]
        if len(seen) >= _ROWS_MIN:
            today = slice(*np.searchsorted(made_at, [now, until]))
            ranks = [min(1.0, level / 100.0 * (len(seen) + 1) / len(seen)) for level in LEVELS]
            reach[:, today] = np.quantile(seen, ranks)[:, np.newaxis] * deviation[today]
    return reach


def _grid(minutes: Minutes, rows: Integers, days: int) -> Integers:
    """The rows, and every fifth minute between them and in the days before that are learned from."""
    first = max(0, int(rows[0]) - days * 1440)
    between = np.arange(first, int(rows[-1]) + 1, dtype=np.int64)
    fifth = between[(minutes.open_time[between] // MINUTE_MS + 1) % _STEP == 0]
    return np.union1d(fifth, rows)


def _days(made_at: Integers) -> list[tuple[int, int]]:
    first, last = int(made_at[0]) // DAY_MS, int(made_at[-1]) // DAY_MS
    return [(day * DAY_MS, (day + 1) * DAY_MS) for day in range(first, last + 1)]


def _seen(made_at: Integers, now: int, days: int, horizon: int) -> Integers:
    """Positions of what was made in the `days` before `now` and whose target has come by then."""
    return np.arange(
        np.searchsorted(made_at, now - days * DAY_MS),
        np.searchsorted(made_at, now - horizon * MINUTE_MS, side="right"),
    )
