"""Windows and recursions over bars with gaps, vectorised: what the features are computed with.

Every function takes arrays with one value a bar, oldest first, and gives an array of the same length with NaN where
there is no value. `age` counts the bars of the unbroken run before a bar: 0 for the first bar after a gap.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

# Windows are views; what is made of them is made for so many at a time, so that memory stays flat over years.
_CHUNK = 4096
# What weighs less than this beside what it is added to is lost in rounding anyway.
_NO_WEIGHT = 2.0**-53


def run_ages(open_time: Integers, step: int) -> Integers:
    """Return each bar's age, where neighbours of one run open exactly `step` apart."""
    position = np.arange(len(open_time), dtype=np.int64)
    begins = np.ones(len(open_time), dtype=bool)
    begins[1:] = np.diff(open_time) != step
    return position - np.maximum.accumulate(np.where(begins, position, 0))


def over_windows(values: Floats, window: int, age: Integers, reduce: Callable[[Floats], Floats]) -> Floats:
    """Apply `reduce` to the windows that end at each bar, given as rows of `window` values.

    Values that look a bar back themselves, as returns do, have none for the first bar of a run, and so no window
    over it has.
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
    """Sum over the last `window` bars; each window is added up by itself, so nothing before it can leave a trace."""
    result = _combined(values, window, np.add)
    result[age < window - 1] = np.nan
    return result


def rolling_mean(values: Floats, window: int, age: Integers, least_share: float = 1.0) -> Floats:
    """Mean over the last `window` bars; with a `least_share` below 1, over those that have a value.

    So many of them must have one. Then the bars are to be given on a grid, with NaN where one is missing.
    """
    if least_share >= 1.0:
        return rolling_sum(values, window, age) / window
    there = np.isfinite(values)
    count = _combined(there.astype(np.float64), window, np.add)
    total = _combined(np.where(there, values, 0.0), window, np.add)
    return np.asarray(np.where(count >= least_share * window, total / np.maximum(count, 1.0), np.nan))


def rolling_deviation(values: Floats, window: int, age: Integers, *, sample: bool = True) -> Floats:
    """Standard deviation over the last `window` bars, sample or population; exactly 0 where all are equal."""
    freedom = window - 1 if sample else window

    def deviation(part: Floats) -> Floats:
        # Moved by a value of its own, a window's sum of squares is at most `window` times that about its mean, so
        # that their difference keeps its digits whatever the level of the values is.
        moved = part - part[:, :1]
        total = moved.sum(axis=1)
        squares = np.einsum("ij,ij->i", moved, moved)
        return np.asarray(np.sqrt(np.maximum(squares - total * total / window, 0.0) / freedom), dtype=np.float64)

    return over_windows(values, window, age, deviation)


def rolling_lead(values: Floats, window: int, age: Integers) -> Floats:
    """How far a value lies above the mean of the last `window` bars; exactly 0 where all are equal."""
    return over_windows(values, window, age, _lead)


def rolling_extreme(values: Floats, window: int, age: Integers, *, highest: bool, least_share: float = 1.0) -> Floats:
    """Maximum or minimum over the last `window` bars; `least_share` as in `rolling_mean`."""
    if least_share >= 1.0:
        result = _combined(values, window, np.maximum if highest else np.minimum)
        result[age < window - 1] = np.nan
        return result
    count = _combined(np.isfinite(values).astype(np.float64), window, np.add)
    result = _combined(values, window, np.fmax if highest else np.fmin)
    return np.asarray(np.where(count >= least_share * window, result, np.nan))


def _combined(values: Floats, window: int, combine: np.ufunc) -> Floats:
    """Combine the last `window` values of each bar, fewer at the beginning, by doubling: two halves make a whole.

    log2(window) passes over the whole array, and each result is made of its own window's values alone.
    """
    block, block_bars = values, 1
    result: Floats | None = None
    result_bars = 0
    while True:
        if window & block_bars:
            result = block.copy() if result is None else _with_before(result, block, result_bars, combine)
            result_bars += block_bars
        if 2 * block_bars > window:
            break
        block = _with_before(block, block, block_bars, combine)
        block_bars *= 2
    assert result is not None  # noqa: S101 - a window has at least one bar, and so at least one bit
    return result


def _with_before(values: Floats, others: Floats, bars: int, combine: np.ufunc) -> Floats:
    """Combine each value with the other one so many bars before, where there is one."""
    result = values.copy()
    result[bars:] = combine(values[bars:], others[: max(0, len(others) - bars)])
    return result


def lagged(values: Floats, bars: int, age: Integers) -> Floats:
    """The value `bars` before, where every bar between is there."""
    result = np.full(len(values), np.nan)
    result[bars:] = values[: max(0, len(values) - bars)]
    result[age < bars] = np.nan
    return result


def smoothed(values: Floats, alpha: float, window: int, age: Integers, before: int = 0) -> Floats:
    """Exponential smoothing y(t) = y(t-1) + alpha (x(t) - y(t-1)), begun anew in each run.

    The first value of a run is the simple mean of its first `window` values, of which `before` have none yet.
    """
    seeds, first_windows = _begin(values, window, age, before)
    added = alpha * values
    added[seeds] = first_windows.mean(axis=1)
    return _decaying_sum(added, 1.0 - alpha, age - (before + window - 1))


def smoothed_lead(values: Floats, alpha: float, window: int, age: Integers) -> Floats:
    """How far a value lies above its own smoothing: x(t) - y(t), with y as `smoothed` gives it.

    That is z(t) = (1 - alpha) (z(t-1) + x(t) - x(t-1)): of changes alone, so that its digits do not depend on the
    level of the values, and it is exactly 0 where they stand still.
    """
    seeds, first_windows = _begin(values, window, age, 0)
    added = (1.0 - alpha) * np.diff(values, prepend=values[:1])
    added[seeds] = _lead(first_windows)
    return _decaying_sum(added, 1.0 - alpha, age - (window - 1))


def _lead(windows: Floats) -> Floats:
    return np.asarray((windows[:, -1:] - windows).mean(axis=1), dtype=np.float64)


def _begin(values: Floats, window: int, age: Integers, before: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the bars with which each run's recursion begins, and the first full window of each, as rows."""
    seeds = np.flatnonzero(age == before + window - 1)
    return seeds, values[seeds[:, np.newaxis] + np.arange(1 - window, 1)]


def _decaying_sum(added: Floats, decay: float, since: Integers) -> Floats:
    """y(t) = decay y(t-1) + added(t), begun in each run where `since`, the count of bars from its begin, is 0.

    By doubling: the sum of the last 2n terms is that of the last n, and decay^n times that of the n before. It takes
    the same additions wherever the bars begin, and ends when what is older has no weight.
    """
    total = np.where(since >= 0, added, 0.0)
    terms = 1
    while terms < len(total) and decay**terms > _NO_WEIGHT:
        total[terms:] += decay**terms * np.where(since[terms:] >= terms, total[:-terms], 0.0)
        terms *= 2
    total[since < 0] = np.nan
    return total
