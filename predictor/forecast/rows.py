"""Which minutes a model learns from, and at which it forecasts."""

import numpy as np

from predictor.forecast.inputs import Minutes
from shared.instant import MINUTE_MS
from shared.rolling import Integers

# More rows than these buy little and cost time.
_ROWS_MAX = 60_000
_ROW_STEP = 5


def find_training_rows(minutes: Minutes, first: int, last: int) -> Integers:
    """Return those of the minutes [first, last) that are there and close on the five-minute grid, thinned if many."""
    rows = np.arange(first, last, dtype=np.int64)
    closes = minutes.open_time[rows] // MINUTE_MS + 1
    rows = rows[(closes % _ROW_STEP == 0) & minutes.is_there[rows]]
    return thin_rows(minutes, rows, max(1, -(-len(rows) // _ROWS_MAX)))


def thin_rows(minutes: Minutes, rows: Integers, count: int) -> Integers:
    """Keep one row of `count`, another one each day: full hours move more than others, and must not be all or none."""
    closes = minutes.open_time[rows] // MINUTE_MS + 1
    return np.asarray(rows[(closes // _ROW_STEP + closes // 1440) % count == 0])


def find_rows_between(minutes: Minutes, start_ms: int, end_ms: int, step: int) -> Integers:
    """Return the minutes that open from `start_ms` on, close by `end_ms`, and close at a multiple of `step` minutes."""
    first = max(0, minutes.index_of(start_ms))
    last = min(len(minutes), minutes.index_of(end_ms))
    rows = np.arange(first, max(first, last), dtype=np.int64)
    return np.asarray(rows[(minutes.open_time[rows] // MINUTE_MS + 1) % step == 0])
