"""Computes windows and recursions over bars with gaps, vectorised; the features are made of them.

Every function takes arrays with one value a bar, oldest first, and returns an array of the same length with NaN where
there is no value. `age` is how many bars of its unbroken run come before a bar: 0 for the first bar after a gap.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

# Windows are views. Their results are computed for so many at a time, so that memory stays small over years.
_CHUNK = 4096
# A term with a smaller weight than this is lost in rounding anyway.
_NO_WEIGHT = 2.0**-53


def count_run_ages(open_time: Integers, step: int) -> Integers:
    """Return each bar's age; neighbours of one run open exactly `step` ms apart."""
    position = np.arange(len(open_time), dtype=np.int64)
    begins = np.ones(len(open_time), dtype=bool)
    begins[1:] = np.diff(open_time) != step
    return position - np.maximum.accumulate(np.where(begins, position, 0))


def apply_to_windows(values: Floats, window: int, age: Integers, reduce: Callable[[Floats], Floats]) -> Floats:
    """Apply `reduce` to the window that ends at each bar; it gets windows as rows of `window` values.

    Values that need the bar before, such as returns, are NaN for the first bar of a run, and so is any window with it.
    """
    result = np.full(len(values), np.nan)
    if len(values) < window:
        return result
    windows = sliding_window_view(values, window)
    for start in range(0, len(windows), _CHUNK):
        part = windows[start : start + _CHUNK]
        result[start + window - 1 : start + window - 1 + len(part)] = reduce(part)
    result[age < window - 1] = np.nan
    return result


def rolling_sum(values: Floats, window: int, age: Integers) -> Floats:
    """Sum over the last `window` bars; each window is summed by itself, so earlier values leave no rounding error."""
    result = _combine(values, window, np.add)
    result[age < window - 1] = np.nan
    return result


def rolling_mean(values: Floats, window: int, age: Integers, least_share: float = 1.0) -> Floats:
    """Mean over the last `window` bars.

    With a `least_share` below 1 it is the mean of the bars that have a value, when at least this share has one; the
    bars must then be on a full grid, with NaN for each missing one.
    """
    if least_share >= 1.0:
        return rolling_sum(values, window, age) / window
    has_value = np.isfinite(values)
    count = _combine(has_value.astype(np.float64), window, np.add)
    total = _combine(np.where(has_value, values, 0.0), window, np.add)
    return np.asarray(np.where(count >= least_share * window, total / np.maximum(count, 1.0), np.nan))


def rolling_deviation(values: Floats, window: int, age: Integers, *, sample: bool = True) -> Floats:
    """Sample or population standard deviation over the last `window` bars; exactly 0 where all are equal."""
    freedom = window - 1 if sample else window

    def deviation(part: Floats) -> Floats:
        # Subtract a value of the window itself. Its sum of squares is then at most `window` times the one about the
        # mean, so that the difference below keeps its precision at any level of the values.
        moved = part - part[:, :1]
        total = moved.sum(axis=1)
        squares = np.einsum("ij,ij->i", moved, moved)
        return np.asarray(np.sqrt(np.maximum(squares - total * total / window, 0.0) / freedom), dtype=np.float64)

    return apply_to_windows(values, window, age, deviation)


def subtract_rolling_mean(values: Floats, window: int, age: Integers) -> Floats:
    """Each value minus the mean of the last `window` bars; exactly 0 where all are equal."""
    return apply_to_windows(values, window, age, _subtract_mean)


def rolling_extreme(values: Floats, window: int, age: Integers, *, highest: bool, least_share: float = 1.0) -> Floats:
    """Maximum or minimum over the last `window` bars; `least_share` as in `rolling_mean`."""
    if least_share >= 1.0:
        result = _combine(values, window, np.maximum if highest else np.minimum)
        result[age < window - 1] = np.nan
        return result
    count = _combine(np.isfinite(values).astype(np.float64), window, np.add)
    result = _combine(values, window, np.fmax if highest else np.fmin)
    return np.asarray(np.where(count >= least_share * window, result, np.nan))


def _combine(values: Floats, window: int, combine: np.ufunc) -> Floats:
    """Combine the last `window` values of each bar, fewer at the beginning, from blocks that double in length.

    It takes log2(window) passes over the array, and each result depends on its own window's values only.
    """
    block, block_bars = values, 1
    result: Floats | None = None
    result_bars = 0
    while True:
        if window & block_bars:
            result = block.copy() if result is None else _combine_with_earlier(result, block, result_bars, combine)
            result_bars += block_bars
        if 2 * block_bars > window:
            break
        block = _combine_with_earlier(block, block, block_bars, combine)
        block_bars *= 2
    assert result is not None  # noqa: S101 - a window has at least one bar, and so at least one bit
    return result


def _combine_with_earlier(values: Floats, others: Floats, bars: int, combine: np.ufunc) -> Floats:
    """Combine each value with the one of `others` that is `bars` before it, where there is one."""
    result = values.copy()
    result[bars:] = combine(values[bars:], others[: max(0, len(others) - bars)])
    return result


def lag(values: Floats, bars: int, age: Integers) -> Floats:
    """Return the value `bars` before, NaN where a bar in between is missing."""
    result = np.full(len(values), np.nan)
    result[bars:] = values[: max(0, len(values) - bars)]
    result[age < bars] = np.nan
    return result


def smooth(values: Floats, alpha: float, window: int, age: Integers, before: int = 0) -> Floats:
    """Exponential smoothing y(t) = y(t-1) + alpha (x(t) - y(t-1)), started anew in each run.

    A run's first y is the simple mean of its first `window` values; the first `before` bars of a run have no value.
    """
    seeds, first_windows = _find_seeds(values, window, age, before)
    added = alpha * values
    added[seeds] = first_windows.mean(axis=1)
    return _decaying_sum(added, 1.0 - alpha, age - (before + window - 1))


def subtract_smoothed(values: Floats, alpha: float, window: int, age: Integers) -> Floats:
    """Each value minus its smoothing, x(t) - y(t), with y as `smooth` returns it.

    It is computed as z(t) = (1 - alpha) (z(t-1) + x(t) - x(t-1)), from changes only. So its precision does not depend
    on the level of the values, and it is exactly 0 where they do not change.
    """
    seeds, first_windows = _find_seeds(values, window, age, 0)
    added = (1.0 - alpha) * np.diff(values, prepend=values[:1])
    added[seeds] = _subtract_mean(first_windows)
    return _decaying_sum(added, 1.0 - alpha, age - (window - 1))


def _subtract_mean(windows: Floats) -> Floats:
    return np.asarray((windows[:, -1:] - windows).mean(axis=1), dtype=np.float64)


def _find_seeds(values: Floats, window: int, age: Integers, before: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the positions where each run's recursion starts, and the first full window of each run, as rows."""
    seeds = np.flatnonzero(age == before + window - 1)
    return seeds, values[seeds[:, np.newaxis] + np.arange(1 - window, 1)]


def _decaying_sum(added: Floats, decay: float, since: Integers) -> Floats:
    """Return y(t) = decay y(t-1) + added(t), started where `since`, the bars since the start of a run, is 0.

    It doubles the number of terms: the sum of the last 2n terms is the sum of the last n, plus decay^n times the sum of
    the n before. So it makes the same additions wherever the bars begin, and stops when older terms have no weight.
    """
    total = np.where(since >= 0, added, 0.0)
    terms = 1
    while terms < len(total) and decay**terms > _NO_WEIGHT:
        total[terms:] += decay**terms * np.where(since[terms:] >= terms, total[:-terms], 0.0)
        terms *= 2
    total[since < 0] = np.nan
    return total
