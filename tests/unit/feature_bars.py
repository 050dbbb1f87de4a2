"""Bars made for the tests of the features: plausible, seeded, with gaps and still stretches on request."""

import math
import random
from collections.abc import Collection, Sequence

import numpy as np
from hypothesis import strategies as st

from shared.bars import Bars
from shared.feature_table import FEATURES
from shared.rolling import Floats, Integers
from tests.unit.feature_reference import Row

MINUTE_MS = 60_000
FIRST = 27_993_600
"""The number of the minute 2023-03-24 00:00 UTC since 1970."""


def make_rows(
    seed: int,
    count: int,
    *,
    missing: Collection[int] = (),
    still: Collection[int] = (),
    price: float = 30_000.0,
    first: int = FIRST,
) -> list[Row]:
    """Rows of a random walk on a grid of ticks, without the `missing` ones; in `still` ones nobody trades."""
    chance = random.Random(seed)
    tick = price * 2.0**-20
    rows = []
    close = price
    for position in range(count):
        before = close
        if position in still:
            rows.append(Row(first + position, before, before, before, before, 0.0, 0.0, 0.0, 0.0))
            continue
        # Now and then a bar opens far from the last close, and ranges where that close is not.
        opened = max(tick, before + tick * chance.choice((0, 0, 0, 0, 900, -900)))
        close = max(tick, round(opened * math.exp(chance.gauss(0, 5e-4)) / tick) * tick)
        high = max(opened, close) + tick * chance.randrange(40)
        low = max(tick, min(opened, close) - tick * chance.randrange(40))
        volume = chance.expovariate(0.1)
        amounts = (volume, volume * (high + low) / 2, chance.randrange(1, 900), volume * chance.random())
        rows.append(Row(first + position, opened, high, low, close, *amounts))
    return [row for position, row in enumerate(rows) if position not in missing]


def bars_of(rows: Sequence[Row], interval_ms: int = MINUTE_MS) -> Bars:
    """Rows as the arrays that the features take."""
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(Row._fields)).T
    numbers = np.array([row.number for row in rows], dtype=np.int64)
    return Bars(numbers * interval_ms, interval_ms, *columns[1:])


def stretches(count: int, longest: int) -> st.SearchStrategy[frozenset[int]]:
    """Positions below `count` that make up at most three stretches."""
    stretch = st.tuples(st.integers(0, count - 1), st.integers(1, longest)).map(lambda pair: range(pair[0], sum(pair)))
    return st.lists(stretch, max_size=3).map(lambda found: frozenset(position for one in found for position in one))


def assert_same(name: str, got: Floats | Integers, want: Floats | Integers, close: Floats) -> None:
    """Null in the same rows, and elsewhere equal to 1e-9 of the value, or to what rounding leaves of the price."""
    nulls = np.isnan(want)
    assert np.array_equal(np.isnan(got), nulls), f"{name} is null in other rows"
    rounding = 1e-13 * close if FEATURES[name].unit == "quote currency" else np.full(len(close), 1e-13)
    apart = np.abs(got - want) > 1e-9 * np.abs(want) + rounding
    assert not apart.any(), (
        f"{name} is {got[apart][:3]} rather than {want[apart][:3]} in rows {np.flatnonzero(apart)[:3]}"
    )
