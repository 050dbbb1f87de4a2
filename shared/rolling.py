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
_CHUNK = 8192
_BLOCK = 64


def run_ages(open_time: Integers, step: int) -> Integers:
    """Return each bar's age, where neighbours of one run open exactly `step` apart."""
    position = np.arange(len(open_time), dtype=np.int64)
    begins = np.ones(len(open_time), dtype=bool)
    begins[1:] = np.diff(open_time) != step
    return position - np.maximum.accumulate(np.where(begins, position, 0))


def over_windows(values: Floats, window: int, age: Integers, before: int, reduce: Callable[[Floats], Floats]) -> Floats:
    """Apply `reduce` to the windows that end at each bar, given as rows of `window` values.

    A bar younger than `before` + `window` - 1 has no full window; `before` is 1 where the values themselves look a
    bar back, as returns do.
    """
    result = np.full(len(values), np.nan)
    if len(values) < window:
        return result
    windows = sliding_window_view(values, window)
    for start in range(0, len(windows), _CHUNK):
        part = windows[start : start + _CHUNK]
        result[start + window - 1 : start + window - 1 + len(part)] = reduce(part)
    result[age < before + window - 1] = np.nan
    return result


def rolling_sum(values: Floats, window: int, age: Integers, before: int = 0) -> Floats:
    """Sum over the last `window` bars; each window is added up by itself, so nothing before it can leave a trace."""
    return over_windows(values, window, age, before, lambda part: part.sum(axis=1))


def rolling_mean(values: Floats, window: int, age: Integers, before: int = 0) -> Floats:
    """Mean over the last `window` bars."""
    return rolling_sum(values, window, age, before) / window


def rolling_deviation(values: Floats, window: int, age: Integers, before: int = 0, *, sample: bool = True) -> Floats:
    """Standard deviation over the last `window` bars, sample or population; exactly 0 where all are equal."""

    def deviation(part: Floats) -> Floats:
        return np.asarray((part - part[:, :1]).std(axis=1, ddof=1 if sample else 0), dtype=np.float64)

    return over_windows(values, window, age, before, deviation)


def rolling_extreme(values: Floats, window: int, age: Integers, *, highest: bool) -> Floats:
    """Maximum or minimum over the last `window` bars."""
    return over_windows(values, window, age, 0, lambda part: part.max(axis=1) if highest else part.min(axis=1))


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
    result = np.full(len(values), np.nan)
    begins = np.flatnonzero(age == 0)
    ends = np.append(begins[1:], len(values))
    for begin, end in zip(begins + before, ends, strict=True):
        seeded = begin + window - 1
        if seeded < end:
            result[seeded] = values[begin : seeded + 1].mean()
            result[seeded + 1 : end] = _recursion(values[seeded + 1 : end], alpha, result[seeded])
    return result


def _recursion(values: Floats, alpha: float, start: float) -> Floats:
    """Run the smoothing over one stretch from `start`: block by block, each block one row of a matrix product."""
    decay = 1.0 - alpha
    blocks = -(-len(values) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: len(values)] = values
    lags = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    weights = np.where(lags >= 0, alpha * decay ** np.maximum(lags, 0), 0.0)
    smooth = padded.reshape(blocks, _BLOCK) @ weights.T
    carried = decay ** np.arange(1, _BLOCK + 1)
    for number in range(blocks):
        smooth[number] += carried * start
        start = smooth[number, -1]
    return np.asarray(smooth.reshape(-1)[: len(values)], dtype=np.float64)
