"""Intervals by conformal calibration: how far returns really went, in forecast deviations, over the last four weeks.

Split conformal prediction (Vovk et al. 2005) with the absolute return over the forecast deviation as its score. The
window moves on between trainings. Quiet and wild hours differ in their tails, so that scores are ranked by the forecast
deviation too, and a forecast takes the quantiles of those like it, drawn towards everyone's (Mondrian conformal,
smoothed). Scores are taken from forecasts made at the same minute modulo five, which are alike.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from predictor.forecast.hourly_coverage import (
    LEVEL,
    HourlyCoverage,
    find_count_end,
    find_counted,
    scale_day_by_day,
    start_counting,
)
from predictor.forecast.inputs import Minutes
from predictor.forecast.track import Track
from shared.instant import DAY_MS, HOUR_MS, MINUTE_MS
from shared.levels import LEVELS
from shared.rolling import Floats, Integers

# Up to this level the middle of an interval is the point; that of others is the last price, since large moves do not
# revert.
_LARGEST_ABOUT_POINT = 80
ABOUT_POINT = tuple(level for level in LEVELS if level <= _LARGEST_ABOUT_POINT)
WINDOW_DAYS = 28
_WINDOW_MS = WINDOW_DAYS * DAY_MS
# Quantiles are taken anew at full four hours; in between they hardly move.
ANEW_MS = 4 * HOUR_MS
_PHASES = 5
_GROUPS_MAX = 5
# Scores that a group needs; those whose targets overlap count as one.
_SCORES_OF_GROUP = 900
# How far a group's quantile is drawn towards everyone's.
_SHRINKAGE = 0.1
# With fewer scores, quantiles are those of Student's t with so many degrees of freedom, of unit variance.
_SCORES_MIN = 200
_DEGREES = 5.0


class Calibration:
    """The scores of a track, ready to be asked for the quantiles at any later minute."""

    def __init__(self, minutes: Minutes, track: Track, horizons: Sequence[int]) -> None:
        self.horizons = tuple(horizons)
        first = int(minutes.open_time[0])
        rows = (track.open_time - first) // MINUTE_MS
        # A track may begin before the minutes that were read; those scores cannot be taken.
        inside = (rows >= 0) & (rows < len(minutes))
        self._open_time = track.open_time[inside]
        self._log_deviation = np.log(track.variances[inside]) / 2.0
        returns = np.column_stack([minutes.log_return(horizon)[rows[inside]] for horizon in self.horizons])
        deviation = np.exp(self._log_deviation)
        self._scores = np.stack([np.abs(returns - track.drifts[inside]), np.abs(returns)]) / deviation
        """About the point and about the last price, of shape (2, track, horizons)."""
        # What was found for a phase, a horizon and a time is asked for again and again.
        self._curves: dict[tuple[int, int, int], tuple[Floats, Floats]] = {}

    def quantiles(self, open_time: Integers, variances: Floats, as_of_ms: int | None = None) -> Floats:
        """Return how many forecast deviations an interval reaches to each side, of shape (levels, rows, horizons).

        For forecasts made at the close of the minutes at `open_time`, increasing, with those variances; only scores
        whose targets had come by then are looked at, or by `as_of_ms` for all of them.
        """
        log_deviation = np.log(variances) / 2.0
        result = np.full((len(LEVELS), *variances.shape), np.nan)
        made_at = open_time + MINUTE_MS
        block = made_at // ANEW_MS if as_of_ms is None else np.full(len(made_at), as_of_ms // ANEW_MS)
        for phase in np.unique(made_at // MINUTE_MS % _PHASES):
            like = self._of_phase(int(phase))
            wanted = np.flatnonzero(made_at // MINUTE_MS % _PHASES == phase)
            ends = np.flatnonzero(np.diff(block[wanted])) + 1
            for rows in np.split(wanted, ends):
                now_ms = int(block[rows[0]]) * ANEW_MS
                for position in range(len(self.horizons)):
                    key = int(phase), position, now_ms
                    if key not in self._curves:
                        self._curves[key] = self._curve(like, position, now_ms)
                    centres, curves = self._curves[key]
                    states = log_deviation[rows, position]
                    result[:, rows, position] = [np.interp(states, centres, curve) for curve in curves]
        return result

    def count_hours(self, hours: HourlyCoverage | None, made_at_ms: int) -> HourlyCoverage:
        """Return the coverage by hour at an instant: `hours` with what came since, or from nothing if None."""
        hours = hours or start_counting(len(self.horizons), int(self._open_time[0]) if len(self) else made_at_ms)
        until_ms = find_count_end(made_at_ms)
        made_at, shares = self._shares(hours.counted_to_ms, until_ms)
        return hours.count_until(until_ms, made_at, shares)

    def scales(self, open_time: Integers) -> Floats:
        """Return what reaches are multiplied by, of forecasts of the track made at the close of those minutes.

        Of shape (rows, horizons), counting from where the track begins.
        """
        if not len(self):
            return np.ones((len(open_time), len(self.horizons)))
        made_at, shares = self._shares(0, int(self._open_time[-1]) + DAY_MS)
        return scale_day_by_day(
            start_counting(len(self.horizons), int(self._open_time[0])), made_at, shares, open_time + MINUTE_MS
        )

    def __len__(self) -> int:
        return len(self._open_time)

    def _shares(self, since_ms: int, until_ms: int) -> tuple[Integers, Floats]:
        """What came of the track's forecasts made in [since_ms, until_ms), as shares of the reach they had."""
        made_at = self._open_time + MINUTE_MS
        rows = find_counted(self._open_time)
        rows = rows[(made_at[rows] >= since_ms) & (made_at[rows] < until_ms)]
        variances = np.exp(2.0 * self._log_deviation[rows])
        reach = self.quantiles(self._open_time[rows], variances)[LEVELS.index(LEVEL)]
        return made_at[rows], self._scores[0, rows] / reach

    def _of_phase(self, phase: int) -> Integers:
        made_at = self._open_time // MINUTE_MS + 1
        like = np.flatnonzero(made_at % _PHASES == phase)
        # A track that is kept at a coarser step may have hardly any of this phase.
        return like if len(like) >= len(made_at) // (2 * _PHASES) else np.arange(len(made_at))

    def _curve(self, like: Integers, position: int, now_ms: int) -> tuple[Floats, Floats]:
        """Log deviations, and the quantiles at each of them, (levels, deviations): flat beyond, straight between."""
        horizon, times = self.horizons[position], self._open_time[like]
        # The target of a minute comes `horizon` minutes after its close.
        last = np.searchsorted(times, now_ms - (horizon + 1) * MINUTE_MS, side="right")
        part = like[np.searchsorted(times, now_ms - _WINDOW_MS) : last]
        scores, states = self._scores[:, part, position], self._log_deviation[part, position]
        known = np.isfinite(scores[0]) & np.isfinite(states)
        scores, states = scores[:, known], states[known]
        if len(states) < _SCORES_MIN:
            return np.zeros(1), _students()[:, np.newaxis]
        everyone = _quantiles(scores)[:, np.newaxis]
        step = (times[-1] - times[0]) / MINUTE_MS / max(1, len(times) - 1)
        groups_wanted = min(_GROUPS_MAX, int(len(states) / max(1.0, horizon / step) / _SCORES_OF_GROUP))
        if groups_wanted < 2:
            return np.zeros(1), everyone
        groups = np.array_split(np.argsort(states, kind="stable"), groups_wanted)
        centres = np.array([np.median(states[group]) for group in groups])
        by_group = np.column_stack([_quantiles(scores[:, group]) for group in groups])
        return centres, (1.0 - _SHRINKAGE) * by_group + _SHRINKAGE * everyone


def _quantiles(scores: Floats) -> Floats:
    """The conformal quantiles of the levels: of n scores about each one's middle the ⌈level (n + 1)⌉-th."""
    about_point, about_last = scores
    count = len(about_point)
    ranks = np.minimum(1.0, np.asarray(LEVELS) / 100.0 * (count + 1) / count)
    is_about_point = np.isin(LEVELS, ABOUT_POINT)
    result = np.empty(len(LEVELS))
    result[is_about_point] = np.quantile(about_point, ranks[is_about_point])
    result[~is_about_point] = np.quantile(about_last, ranks[~is_about_point])
    return result


def _students() -> Floats:
    unit = np.sqrt((_DEGREES - 2.0) / _DEGREES)
    return np.asarray([unit * student.ppf(0.5 + level / 200.0, _DEGREES) for level in LEVELS])
