"""The features of history's rows: what must be read for them, and the shared code that computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from api.bars import AMOUNTS, NUMBERS, RANGES, BarColumns
from api.intervals import Interval
from shared.bars import Bars
from shared.features import FEATURES, compute, warm_up_bars
from shared.instant import MINUTE
from shared.rolling import Floats, Integers

FeatureArrays = dict[str, Floats | Integers]


@dataclass(frozen=True)
class Need:
    """The bars before the first row that its features look back on, and which numbers of them beside the closes."""

    bars: int
    ranges: bool
    amounts: bool
    page_amounts: bool


def needs_of(names: Sequence[str]) -> Need:
    """Return what must be read for these features."""
    in_window = {number for name in names if FEATURES[name].reads for number in _numbers_of(name)}
    on_page = {number for name in names for number in _numbers_of(name)}
    return Need(
        bars=warm_up_bars(names),
        ranges=not in_window.isdisjoint(RANGES),
        amounts=not in_window.isdisjoint(AMOUNTS),
        page_amounts=not on_page.isdisjoint(AMOUNTS),
    )


def compute_features(window: BarColumns, bars: BarColumns, interval: Interval, names: Sequence[str]) -> FeatureArrays:
    """Compute the features of `bars`, given the bars before them."""
    if not names or not len(bars):
        return {name: np.empty(0) for name in names}
    read = {number for name in names for number in _numbers_of(name)}
    unread = np.full(len(window) + len(bars), np.nan)
    numbers = {
        number: np.concatenate((window.floats(number), bars.floats(number))) if number in read else unread
        for number in NUMBERS
    }
    opened_at = np.concatenate((window.opened_at, bars.opened_at))
    together = Bars(
        open_time=opened_at.astype("datetime64[ms]").astype(np.int64),
        interval_ms=interval.minutes * (MINUTE.seconds * 1_000),
        **numbers,
    )
    return {name: values[len(window) :] for name, values in compute(together, names).items()}


@cache
def _numbers_of(name: str) -> frozenset[str]:
    """Find out which numbers of a bar a feature is made from, by letting it be computed on a few."""
    touched = set()

    class Recorder(Bars):
        def __getattribute__(self, attribute: str) -> Any:
            touched.add(attribute)
            return super().__getattribute__(attribute)

    ones = {number: np.ones(3) for number in NUMBERS}
    FEATURES[name].compute(Recorder(np.arange(3, dtype=np.int64), 1, **ones))
    return frozenset(touched.intersection(NUMBERS))
