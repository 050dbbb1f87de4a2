"""Forecasts as prices: intervals lie in each other, the point in all of them, and the chance of a rise fits them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.forecast.distribution import Distributions, distribute
from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import Calibration
from predictor.forecast.track import Track
from shared.levels import LEVELS
from shared.rolling import Floats, Integers
from tests.models import walk

MINUTES = Minutes.of(walk(1))
ROW = np.array([1_000])
# In deviations, by level; as even between these levels as `_probability_up` takes them.
REACHES = tuple(np.interp(LEVELS, (0, 50, 80, 95, 100), (0.0, 0.6, 1.2, 2.0, 2.5)).tolist())


class FixedCalibration(Calibration):
    """Quantiles that are given, for one horizon."""

    def __init__(self, reach: tuple[float, ...]) -> None:
        self.horizons = (5,)
        self._reach = reach

    def quantiles(self, open_time: Integers, variances: Floats, as_of_ms: int | None = None) -> Floats:
        """Those, for each row."""
        del open_time, as_of_ms
        return np.asarray(self._reach)[:, np.newaxis, np.newaxis] * np.ones_like(variances)


def made(drift: float, reach: tuple[float, ...], scale: float = 1.0) -> Distributions:
    """One forecast of unit deviation but for `scale`."""
    forecasts = Track(MINUTES.open_time[ROW], np.full((1, 1), 1e-6), np.full((1, 1), drift * 1e-3))
    return distribute(MINUTES, ROW, forecasts, FixedCalibration(reach), np.full((1, 1), scale))


reaches = st.lists(st.floats(0, 5), min_size=len(LEVELS), max_size=len(LEVELS)).map(
    lambda values: tuple(sorted(values))
)


@given(drift=st.floats(-3, 3), reach=reaches, scale=st.floats(0.7, 1.4))
def test_intervals_lie_in_each_other_and_hold_the_point(drift: float, reach: tuple[float, ...], scale: float) -> None:
    """Whatever the point is."""
    forecast = made(drift, reach, scale)
    lower, upper, point = forecast.lower[:, 0, 0], forecast.upper[:, 0, 0], forecast.point[0, 0]
    bounds = [*lower[::-1], point, *upper]
    assert bounds == sorted(bounds)
    chance = forecast.probability_up[0, 0]
    assert 0.0 <= chance <= 1.0
    assert (chance - 0.5) * drift >= 0.0


def test_middle_is_the_point_for_the_near_intervals_and_the_last_price_for_the_far_one() -> None:
    """What goes far does not revert."""
    base = MINUTES.bars.close[ROW[0]]
    forecast = made(0.2, REACHES, scale=1.1)
    for position, (level, stated) in enumerate(zip(LEVELS, REACHES, strict=True)):
        middle, reach = 0.2e-3 if level <= 80 else 0.0, 1.1e-3 * stated
        assert forecast.lower[position, 0, 0] == pytest.approx(base * np.exp(middle - reach))
        assert forecast.upper[position, 0, 0] == pytest.approx(base * np.exp(middle + reach))
    assert forecast.point[0, 0] == pytest.approx(base * np.exp(0.2e-3))


@pytest.mark.parametrize(
    ("drift", "chance"),
    [
        (0.0, 0.5),
        (0.3, 0.625),
        (-0.3, 0.375),
        (0.6, 0.75),
        (1.2, 0.9),
        (2.0, 0.975),
        (9.0, 0.5 + LEVELS[-1] / 200),
    ],
)
def test_chance_of_a_rise_follows_from_the_intervals(drift: float, chance: float) -> None:
    """A quarter of the outcomes lie between the point and the near bound of its 50 % interval."""
    assert made(drift, REACHES).probability_up[0, 0] == pytest.approx(chance)
