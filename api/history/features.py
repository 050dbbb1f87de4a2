"""The features of a page's bars: which numbers must be read for them, and the shared code that computes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from api.history.fields import EXACT_FEATURES
from api.history.queries import NUMBERS, BarColumns
from api.intervals import Interval
from shared.bars import Bars
from shared.feature_table import FEATURES
from shared.features import compute, warm_up_bars
from shared.instant import MILLISECOND
from shared.rolling import Floats, Integers

# By feature: arrays, or for an exact one the text of each value.
FeatureColumns: TypeAlias = dict[str, Floats | Integers | list[str]]


@dataclass(frozen=True)
class Inputs:
    """What features are made from: `window_bars` bars before the first, and which numbers of those and of the page."""

    window_bars: int
    window: frozenset[str]
    page: frozenset[str]


@lru_cache(256)
def find_inputs(names: tuple[str, ...]) -> Inputs:
    """Return what must be read for these features."""
    computed = _computed(names)
    return Inputs(
        window_bars=warm_up_bars(names),
        window=_columns(name for name in computed if FEATURES[name].reads),
        page=_columns(computed) | EXACT_FEATURES.keys() & set(names),
    )


def compute_features(
    window: BarColumns, bars: BarColumns, interval: Interval, names: tuple[str, ...]
) -> FeatureColumns:
    """Compute the features of `bars`, given the bars before them."""
    if not len(bars):
        return {name: [] for name in names}
    computed = _computed(names)
    values = compute(_join(window, bars, interval, computed), computed) if computed else {}
    first = len(window)
    return {name: values[name][first:] if name in values else bars.numbers[name].split(",") for name in names}


def _computed(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in EXACT_FEATURES]


def _columns(names: Iterable[str]) -> frozenset[str]:
    return frozenset(column for name in names for column in FEATURES[name].columns)


def _join(window: BarColumns, bars: BarColumns, interval: Interval, names: Sequence[str]) -> Bars:
    """Put the bars behind those before them, with the numbers that the features are made from."""
    first = len(window)
    unread = np.full(first + len(bars), np.nan)
    numbers = dict.fromkeys(NUMBERS, unread)
    for name in _columns(names):
        before = window.floats(name) if name in window.numbers else unread[:first]
        numbers[name] = np.concatenate((before, bars.floats(name)))
    opened_at = np.concatenate((window.opened_at, bars.opened_at)).astype("datetime64[ms]").astype(np.int64)
    return Bars(open_time=opened_at, interval_ms=interval.length // MILLISECOND, **numbers)  # type: ignore[arg-type] # NUMBERS are all of them
