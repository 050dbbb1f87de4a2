"""A forecast's prices as they are written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.forecast.forecaster import Distribution
from predictor.service.forecasting import round_row
from shared.levels import LEVELS


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (60_000.126, 2, "60000.13"),
        (60_000.1, 2, "60000.10"),
        (0.000012345678, 8, "0.00001235"),
        (3e-10, 8, "1E-8"),
        (60_000.5, 0, "60000"),
    ],
)
def test_prices_have_the_symbol_s_decimals(value: float, decimals: int, text: str) -> None:
    """And are never 0."""
    intervals = dict.fromkeys(LEVELS, (value, value))
    assert round_row(Distribution(5, value, intervals, 0.01, 0.5), decimals).point == Decimal(text)


@given(
    price=st.floats(1e-6, 1e7),
    steps=st.lists(st.floats(0, 0.2), min_size=2 * len(LEVELS), max_size=2 * len(LEVELS)),
    decimals=st.integers(0, 8),
)
def test_rounding_keeps_intervals_nested(price: float, steps: list[float], decimals: int) -> None:
    """As the database demands."""
    lower, upper = [price], [price]
    for down, up in zip(steps[::2], steps[1::2], strict=True):
        lower.append(lower[-1] * (1 - down))
        upper.append(upper[-1] * (1 + up))
    intervals = {level: (lower[index], upper[index]) for index, level in enumerate(LEVELS, 1)}
    row = round_row(Distribution(5, price, intervals, 0.01, 0.5), decimals)
    lows, highs = zip(*row.intervals.values(), strict=True)
    outwards = [row.point, *lows]
    assert outwards == sorted(outwards, reverse=True)
    assert outwards[-1] > 0
    outwards = [row.point, *highs]
    assert outwards == sorted(outwards)
