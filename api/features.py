"""The features of history's rows: what must be read for them, and the shared code that computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from api.bars import AMOUNTS, EXACT, NUMBERS, RANGES, BarColumns
from api.intervals import Interval
from shared.bars import Bars
from shared.feature_table import FEATURES
from shared.features import compute, warm_up_bars
from shared.instant import MILLISECOND
from shared.rolling import Floats, Integers

# Arrays, or for an exact one the text of each value.
FeatureColumns = dict[str, Floats | Integers | list[str]]


@dataclass(frozen=True)
class Need:
    """The bars before the first row that its features look back on, and which numbers of them beside the closes."""

    bars: int
    ranges: bool
    amounts: bool
    page_amounts: bool
    page_exact: bool


def needs_of(names: Sequence[str]) -> Need:
    """Return what must be read for these features."""
    computed = [name for name in names if name not in EXACT]
    in_window = {number for name in computed if FEATURES[name].reads for number in _numbers_of(name)}
    on_page = {number for name in computed for number in _numbers_of(name)}
    return Need(
        bars=warm_up_bars(names),
        ranges=not in_window.isdisjoint(RANGES),
        amounts=not in_window.isdisjoint(AMOUNTS),
        page_amounts=not on_page.isdisjoint(AMOUNTS),
        page_exact=len(computed) < len(names),
    )


def compute_features(window: BarColumns, bars: BarColumns, interval: Interval, names: Sequence[str]) -> FeatureColumns:
    """Compute the features of `bars`, given the bars before them."""
    if not len(bars):
        return {name: [] for name in names}
    computed = [name for name in names if name not in EXACT]
    values = compute(_joined(window, bars, interval, computed), computed) if computed else {}
    return {name: values[name][len(window) :] if name in values else bars.numbers[name].split(",") for name in names}


def _joined(window: BarColumns, bars: BarColumns, interval: Interval, names: Sequence[str]) -> Bars:
    """Put the bars behind those before them, with the numbers that the features read."""
    read = {number for name in names for number in _numbers_of(name)}
    unread = np.full(len(window) + len(bars), np.nan)
    numbers = {
        number: np.concatenate((window.floats(number), bars.floats(number))) if number in read else unread
        for number in NUMBERS
    }
    opened_at = np.concatenate((window.opened_at, bars.opened_at)).astype("datetime64[ms]").astype(np.int64)
    return Bars(open_time=opened_at, interval_ms=interval.length // MILLISECOND, **numbers)  # type: ignore[arg-type] # NUMBERS are all of them


@cache
def _numbers_of(name: str) -> frozenset[str]:
    """Find out which numbers of a bar a feature is made from, by letting it be computed on a few."""
    touched = set()

    class Recorder(Bars):
        def __getattribute__(self, attribute: str) -> Any:
            touched.add(attribute)
            return super().__getattribute__(attribute)

    ones = {number: np.ones(3) for number in NUMBERS}
    FEATURES[name].compute(Recorder(np.arange(3, dtype=np.int64), 1, **ones))  # type: ignore[arg-type] # as above
    return frozenset(touched.intersection(NUMBERS))
