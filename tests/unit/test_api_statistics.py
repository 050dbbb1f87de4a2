"""Statistics of closes, against the standard library and numpy."""

import math
import statistics
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.statistics.fields import PERCENTILES
from api.statistics.queries import Closes
from api.statistics.summary import summarise

prices = st.integers(1, 10_000_000).map(lambda cents: Decimal(cents) / 100)


def closes_at(minutes: list[int], values: list[Decimal]) -> Closes:
    """The closes of these minutes, hour by hour, as they are read."""
    hours: dict[int, int] = {}
    for minute in minutes:
        hours[minute // 60 * 60] = hours.get(minute // 60 * 60, 0) | 1 << minute % 60
    return Closes(
        np.array([float(value) for value in values]),
        np.array(list(hours), dtype=np.int64),
        np.array(list(hours.values()), dtype=np.int64),
    )


@given(st.dictionaries(st.integers(0, 400), prices, min_size=1, max_size=80))
def test_a_summary_agrees_with_plain_arithmetic(by_minute: dict[int, Decimal]) -> None:
    """Wherever minutes are missing."""
    minutes = sorted(by_minute)
    values = [by_minute[minute] for minute in minutes]
    closes = closes_at(minutes, values)
    summary = summarise(closes)
    assert closes.minutes().tolist() == minutes
    assert closes.are_unbroken() == (minutes[-1] - minutes[0] + 1 == len(minutes))
    assert summary.count == len(values)
    assert summary.mean == pytest.approx(statistics.fmean(map(float, values)))
    assert summary.median == statistics.median(values)
    expected = statistics.stdev(values) if len(values) > 1 else None
    assert summary.std == (None if expected is None else pytest.approx(float(expected), abs=1e-6))
    for percent, found in zip(PERCENTILES, summary.percentiles, strict=True):
        assert found is not None
        assert float(found) == pytest.approx(float(np.percentile(np.array(values, dtype=float), percent)))
    squares = [
        math.log(by_minute[minute] / by_minute[minute - 1]) ** 2 for minute in minutes if minute - 1 in by_minute
    ]
    assert summary.realised_volatility == pytest.approx(math.sqrt(math.fsum(squares)), abs=1e-12)
    falls = [float(values[index] / max(values[: index + 1])) - 1 for index in range(len(values))]
    assert summary.max_drawdown == pytest.approx(min(falls), abs=1e-12)


def test_quantiles_are_exact_decimals() -> None:
    """No noise of floats: the median of 0.1 and 0.3 is 0.2."""
    summary = summarise(closes_at([0, 1], [Decimal("0.1"), Decimal("0.3")]))
    assert summary.median == Decimal("0.2")
    assert summary.percentiles == (Decimal("0.11"), Decimal("0.15"), Decimal("0.25"), Decimal("0.29"))


def test_one_close_has_no_deviation() -> None:
    """And neither volatility nor drawdown."""
    summary = summarise(closes_at([7], [Decimal(5)]))
    assert (summary.count, summary.std, summary.realised_volatility, summary.max_drawdown) == (1, None, 0.0, 0.0)


def test_no_close_has_nothing() -> None:
    """But a count."""
    summary = summarise(closes_at([], []))
    assert (summary.count, summary.mean, summary.median, summary.percentiles) == (0, None, None, (None,) * 4)
