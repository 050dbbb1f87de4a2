"""The model of a symbol: the variance of its log return over each horizon, and its point, from what the record shows.

Log-linear in features of the last days, relative to the season of the week (a log-HAR, Corsi 2009, with ranges, jumps
and volume), fitted by least squares and by QLIKE, of which the mean is taken; and boosted trees on what is left.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from predictor.forecast.fits import fit_log_linear
from predictor.forecast.inputs import COLUMNS, INPUTS, PLAIN, Minutes
from predictor.forecast.point import learn_point
from predictor.forecast.rows import find_training_rows, thin_rows
from predictor.forecast.seasons import (
    compute_log_before,
    compute_mean_after,
    estimate_activity_season,
    estimate_variance_season,
)
from predictor.forecast.track import Track
from predictor.forecast.trees import ROWS_MIN, fit_trees, predict_log_ratio
from shared.errors import TooLittleHistoryError
from shared.feature_table import FEATURE_VERSION
from shared.instant import DAY_MS, from_milliseconds
from shared.rolling import Floats, Integers

# Single minutes often do not move at all, and zero has no logarithm: below this horizon there is only
# the QLIKE fit, and the trees are those of five minutes, which have less noise to learn from.
SHORTEST_TREE_TARGET = 5
_ROWS_MIN = 300
_WEEK_MS = 7 * DAY_MS
# The level is a mean over all rows, of which an eighth says as much.
_SCALE_STEP = 8
_STANDARD_BOUND = 8.0


class DistributionModel(BaseEstimator):  # type: ignore[misc]
    """One symbol's model: `predict` gives variances, and `forecasts` the returns that are expected as well."""

    def __init__(self, horizons: Sequence[int] = (1, 5, 15, 60)) -> None:
        self.horizons = tuple(horizons)

    def fit(self, minutes: Minutes, start_ms: int, end_ms: int, before: "DistributionModel | None" = None) -> Self:
        """Learn from the minutes of [start_ms, end_ms), targets included; nothing outside is looked at.

        What trees find changes slowly: those of the model `before` are taken over for some weeks. Raises
        TooLittleHistoryError when too few forecasts could have been made and scored there.
        """
        with limit_threads():
            return self._fit(minutes, start_ms, end_ms, before)

    def _fit(self, minutes: Minutes, start_ms: int, end_ms: int, before: "DistributionModel | None") -> Self:
        self.feature_version_ = FEATURE_VERSION
        self.horizons_ = tuple(sorted(self.horizons))
        self.trained_from_ms_, self.trained_to_ms_ = start_ms, end_ms
        first, last = max(0, minutes.index_of(start_ms)), min(len(minutes), minutes.index_of(end_ms))
        self._learn_seasons(minutes, first, last)
        rows = find_training_rows(minutes, first, last)
        values = minutes.inputs(rows, tuple(INPUTS))
        self.columns_ = tuple(
            name for position, name in enumerate(INPUTS) if np.isfinite(values[:, position]).mean() > 0.5
        )
        table = np.column_stack([values, minutes.minute_of_week[rows]])
        whole = np.isfinite(table[:, self._positions()]).all(axis=1)
        if whole.sum() < _ROWS_MIN:
            raise TooLittleHistoryError(
                f"There are only {int(whole.sum())} forecasts to learn from where {_ROWS_MIN} are needed: "
                "the record is too short, or has too many holes."
            )
        rows, table = rows[whole], table[whole]
        self.mean_, self.deviation_ = np.zeros(len(self.columns_)), np.ones(len(self.columns_))
        raw = self._raw_design(table)
        self.mean_ = raw.mean(axis=0)
        spread = raw.std(axis=0)
        self.deviation_ = np.where(spread > 1e-9, spread, 1.0)
        self._learn_targets(minutes, rows, table, last, before)
        self.point_ = learn_point(minutes, first, last, self.horizons_)
        return self

    def predict(self, X: npt.ArrayLike) -> Floats:  # noqa: N803 - the name that scikit-learn's users expect
        """Return the variance of the log return over each horizon, of shape (rows, horizons).

        `X` has the columns `predictor.forecast.inputs.COLUMNS`; a row that lacks one that the model uses has NaN.
        """
        table = np.asarray(X, dtype=np.float64)
        result = np.full((len(table), len(self.horizons_)), np.nan)
        whole = np.isfinite(table[:, self._positions()]).all(axis=1)
        if whole.any():
            with limit_threads():
                result[whole] = self._variances(table[whole])
        return result

    def variances(self, minutes: Minutes, rows: Integers) -> Floats:
        """Return what `predict` does for the minutes at `rows`; NaN also where the minute itself is missing."""
        result = self.predict(minutes.inputs(rows, COLUMNS))
        result[~minutes.is_there[rows]] = np.nan
        return result

    def forecasts(self, minutes: Minutes, rows: Integers) -> Track:
        """Return the variances at the minutes at `rows`, increasing, and the returns that the point expects."""
        return Track(minutes.open_time[rows], self.variances(minutes, rows), self.point_.drifts(minutes, rows))

    trees_trained_to_ms_: int

    def is_of(self, horizons: Sequence[int]) -> bool:
        """Whether the model forecasts just these horizons, from the features as they are computed now."""
        return self.horizons_ == tuple(sorted(horizons)) and self.feature_version_ == FEATURE_VERSION

    def _learn_seasons(self, minutes: Minutes, first: int, last: int) -> None:
        variance, activity = (
            estimate_variance_season(minutes, first, last),
            estimate_activity_season(minutes, first, last),
        )
        windows = sorted({column.window for column in INPUTS.values()})
        self.before_ = {
            "variance": compute_log_before(variance, windows),
            "activity": compute_log_before(activity, windows),
        }
        ahead = {*self.horizons_, *map(_tree_target, self.horizons_)}
        self.after_ = {horizon: compute_mean_after(variance, horizon) for horizon in sorted(ahead)}

    def _learn_targets(
        self, minutes: Minutes, rows: Integers, table: Floats, last: int, before: "DistributionModel | None"
    ) -> None:
        design = self._design(table)
        week = table[:, -1].astype(np.int64)
        self.coefficients_: dict[int, Floats] = {}
        self.trees_: dict[int, HistGradientBoostingRegressor] = self._young_trees(before)
        takes_over = bool(self.trees_)
        self.trees_trained_to_ms_ = before.trees_trained_to_ms_ if takes_over and before else self.trained_to_ms_
        few = np.searchsorted(rows, thin_rows(minutes, rows, _SCALE_STEP))
        plain = [0, *(1 + position for position, name in enumerate(self.columns_) if name in PLAIN)]
        # From long to short: the variance of a short horizon is noisy, so its fit uses a longer one's coefficients.
        for target in sorted({*self.horizons_, *map(_tree_target, self.horizons_)}, reverse=True):
            relative = minutes.realised_variance(target)[rows] / (target * self.after_[target][week])
            known = np.isfinite(relative) & (rows + target < last)
            if target >= SHORTEST_TREE_TARGET:
                known &= relative > 0
            seen, wanted = design[known], relative[known]
            longer = self.coefficients_.get(_tree_target(target))
            self.coefficients_[target] = fit_log_linear(seen, wanted, plain, longer)
            if target >= SHORTEST_TREE_TARGET and not takes_over and known.sum() >= ROWS_MIN:
                linear = seen @ self.coefficients_[target]
                self.trees_[target] = fit_trees(seen, week[known], linear, wanted)
        self.scale_ = np.ones(len(self.horizons_))
        expected = self._unscaled(design[few], week[few])
        for position, horizon in enumerate(self.horizons_):
            realised = minutes.realised_variance(horizon)[rows[few]]
            known = np.isfinite(realised) & (rows[few] + horizon < last)
            # The level that QLIKE asks for; a ratio of sums would be that of the few wildest days.
            self.scale_[position] = np.mean(realised[known] / expected[known, position])

    def _young_trees(self, before: "DistributionModel | None") -> dict[int, HistGradientBoostingRegressor]:
        if (
            before is None
            or before.columns_ != self.columns_
            or before.horizons_ != self.horizons_
            or self._is_tree_day(self.trained_to_ms_ - before.trees_trained_to_ms_)
        ):
            return {}
        return dict(before.trees_)

    def _is_tree_day(self, age_ms: int) -> bool:
        """Whether to grow trees anew: each second Sunday; a model that is rejected does not hurry the next."""
        is_sunday = from_milliseconds(self.trained_to_ms_).weekday() == 6
        return age_ms > 4 * _WEEK_MS or (is_sunday and age_ms > 10 * DAY_MS)

    def _variances(self, table: Floats) -> Floats:
        return self._unscaled(self._design(table), table[:, -1].astype(np.int64)) * self.scale_

    def _unscaled(self, design: Floats, week: Integers) -> Floats:
        """Variances before the level is set right: the linear forecast, what the trees add, and the season ahead."""
        added = {
            target: predict_log_ratio(trees, design, week, design @ self.coefficients_[target])
            for target, trees in self.trees_.items()
        }
        columns = [
            np.exp(design @ self.coefficients_[horizon] + added.get(_tree_target(horizon), 0.0))
            * horizon
            * self.after_[horizon][week]
            for horizon in self.horizons_
        ]
        return np.column_stack(columns)

    def _design(self, table: Floats) -> Floats:
        standard = (self._raw_design(table) - self.mean_) / self.deviation_
        return np.column_stack([np.ones(len(table)), np.clip(standard, -_STANDARD_BOUND, _STANDARD_BOUND)])

    def _raw_design(self, table: Floats) -> Floats:
        """The columns used, each relative to its window's season."""
        week = table[:, -1].astype(np.int64)
        design = table[:, self._positions()]
        for position, name in enumerate(self.columns_):
            column = INPUTS[name]
            if column.kind != "shape":
                design[:, position] -= self.before_[column.kind][column.window][week]
        return design

    def _positions(self) -> list[int]:
        return [COLUMNS.index(name) for name in self.columns_]


def _tree_target(horizon: int) -> int:
    return max(SHORTEST_TREE_TARGET, horizon)


def limit_threads() -> AbstractContextManager[object]:
    """Keep to one thread: work this small gains little from a second, and waits for it where others work too."""
    return cast("AbstractContextManager[object]", threadpool_limits(limits=1))
