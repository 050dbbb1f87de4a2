"""The season of a minute: how much of a day's variance, or of its trade, a minute of the week usually has.

An hour of the week, times a minute of the hour: openings and releases come by the hour of a weekday, and programs act
at full minutes, so that a minute that opens at a multiple of five moves more than its neighbours.
"""

from collections.abc import Iterable

import numpy as np

from predictor.forecast.inputs import DAY_AHEAD, WEEK_MINUTES, Minutes
from shared.formulas import garman_klass, parkinson
from shared.rolling import Floats, Integers

# A minute that has more than this many times its share is no evidence of its season.
_LARGEST_RATIO_QUANTILE = 0.9995
# Habits change: half the weight of a day is gone after four months.
_HALF_LIFE_MINUTES = 120 * 1440
# How many hours of its kind (weekday or weekend) an hour of the week is worth before its own are seen.
_HOUR_PRIOR = 8.0
# How many days without any season are imagined before the first.
_NO_SEASON_DAYS = 5.0
# How many days of the fifth minutes of its kind a minute of the hour is worth.
_MINUTE_PRIOR_DAYS = 20.0


def estimate_variance_season(minutes: Minutes, first: int, last: int) -> Floats:
    """Estimate the season of the variance from the minutes at [first, last), and nothing after them."""
    return _estimate_from_part(
        minutes, first, last, minutes.divide_by_day("variance", lambda: compute_minute_variance(minutes))
    )


def estimate_activity_season(minutes: Minutes, first: int, last: int) -> Floats:
    """Estimate the season of the quote volume likewise."""
    return _estimate_from_part(
        minutes, first, last, minutes.divide_by_day("activity", lambda: minutes.bars.quote_volume)
    )


def _estimate_from_part(minutes: Minutes, first: int, last: int, relative: Floats) -> Floats:
    # The day around a minute reaches ahead, so that the last half day would look past the end.
    known = slice(first, max(first, last - DAY_AHEAD))
    return estimate_season(minutes.minute_of_week[known], relative[known])


def compute_minute_variance(minutes: Minutes) -> Floats:
    """A minute's variance from its return and its range, whose noises differ."""
    bars = minutes.bars
    return np.asarray((parkinson(bars, 1) ** 2 + garman_klass(bars, 1) ** 2 + bars.log_return**2) / 3.0)


def estimate_season(minute_of_week: Integers, relative: Floats) -> Floats:
    """Estimate a season from values relative to their day: a factor for each of the week's 10,080 minutes.

    Recent weeks count for more. What few weeks have shown is drawn towards what all weekdays, or both days of the
    weekend, have in common.
    """
    known = np.isfinite(relative)
    if not known.any():
        return np.ones(WEEK_MINUTES)
    week, values = minute_of_week[known], relative[known]
    weight = 0.5 ** ((len(relative) - 1 - np.flatnonzero(known)) / _HALF_LIFE_MINUTES)
    values = np.minimum(values, np.quantile(values, _LARGEST_RATIO_QUANTILE))
    hour = week // 60
    count = np.bincount(hour, weight, minlength=168).reshape(7, 24)
    total = np.bincount(hour, weight * values, minlength=168).reshape(7, 24)
    factors = np.ones((7, 24))
    for days in (slice(0, 5), slice(5, 7)):
        common = (total[days].sum(axis=0) + 1e-9) / (count[days].sum(axis=0) + 1e-9)
        factors[days] = (total[days] + 60.0 * _HOUR_PRIOR * common) / (count[days] + 60.0 * _HOUR_PRIOR)
    days_known = len(values) / 1440
    trusted = days_known / (days_known + _NO_SEASON_DAYS)
    by_hour = np.where(factors > 0, 1.0 + trusted * (factors - 1.0), 1.0).reshape(168)
    minute = week % 60
    count_of = np.bincount(minute, weight, minlength=60)
    total_of = np.bincount(minute, weight * values / by_hour[hour], minlength=60)
    fifths = np.tile((total_of.reshape(12, 5).sum(axis=0) + 1e-9) / (count_of.reshape(12, 5).sum(axis=0) + 1e-9), 12)
    prior = 24.0 * _MINUTE_PRIOR_DAYS
    by_minute = (total_of + prior * fifths) / (count_of + prior)
    return np.asarray(np.repeat(by_hour, 60) * np.tile(by_minute / by_minute.mean(), 168))


def compute_log_before(season: Floats, windows: Iterable[int]) -> dict[int, Floats]:
    """Ln of the season's mean over the `window` minutes up to each minute of the week, its own included."""
    summed = np.concatenate([[0.0], np.cumsum(np.tile(season, 2))])
    ends = np.arange(WEEK_MINUTES) + WEEK_MINUTES + 1
    return {window: np.log((summed[ends] - summed[ends - window]) / window) for window in windows}


def compute_mean_after(season: Floats, horizon: int) -> Floats:
    """The season's mean over the `horizon` minutes after each minute of the week."""
    summed = np.concatenate([[0.0], np.cumsum(np.tile(season, 2))])
    starts = np.arange(WEEK_MINUTES) + 1
    return np.asarray((summed[starts + horizon] - summed[starts]) / horizon)
