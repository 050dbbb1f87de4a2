"""The point: found where returns do revert, the last price where they don't, and nothing ahead is looked at."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.forecast.inputs import Minutes
from predictor.forecast.point import Point, compare, learn_point
from shared.bars import Bars
from tests.models import walk

HORIZONS = (1, 15)
DAYS = 64
LAST = DAYS * 1440


def bouncing(share: float, *, seed: int = 5, every_minute: bool = False) -> Bars:
    """A walk of which each move into a multiple of five minutes, or into any minute, is half taken back by the next."""
    bars = walk(DAYS, seed)
    moves = np.diff(np.log(bars.close), prepend=np.log(30_000.0))
    closes = np.arange(len(moves)) + 1
    leans = (closes[:-1] % 5 == 0) | every_minute
    moves[1:] -= share * leans * moves[:-1]
    close = np.round(30_000.0 * np.exp(np.cumsum(moves)), 2)
    opened = np.concatenate([[30_000.0], close[:-1]])
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return replace(bars, open=opened, high=high, low=low, close=close, quote_volume=bars.volume * (opened + close) / 2)


@pytest.fixture(scope="module")
def minutes() -> Minutes:
    """Minutes after a multiple of five revert by a fifth."""
    return Minutes.of(bouncing(0.2))


@pytest.fixture(scope="module")
def point(minutes: Minutes) -> Point:
    """What is learned of them."""
    return learn_point(minutes, 0, LAST, HORIZONS)


def test_lean_is_found_where_it_is_and_nowhere_else(minutes: Minutes, point: Point) -> None:
    """On the five-minute clock, over one minute: a fifth of the last move is expected back."""
    assert point.is_used[0, 0]
    assert not point.is_used[1].any()
    rows = np.arange(40 * 1440, 50 * 1440)
    drifts = point.drifts(minutes, rows)
    on_clock = (rows + 1) % 5 == 0
    assert (drifts[~on_clock] == 0.0).all()
    moved = minutes.bars.log_return[rows][on_clock]
    assert np.corrcoef(drifts[on_clock, 0], -moved)[0, 1] > 0.9
    assert np.polyfit(moved, drifts[on_clock, 0], 1)[0] == pytest.approx(-0.2, abs=0.06)
    assert "multiples of five minutes over 1 min (R² " in point.sentence


def test_it_is_nearer_than_the_last_price_on_minutes_it_has_not_seen(minutes: Minutes) -> None:
    """By the mean absolute error."""
    point = learn_point(minutes, 0, LAST - 5 * 1440, HORIZONS)
    rows = np.arange(LAST - 5 * 1440, LAST - 20)
    rows = rows[(rows + 1) % 5 == 0]
    came = minutes.log_return(1)[rows]
    assert np.abs(came - point.drifts(minutes, rows)[:, 0]).mean() < 0.995 * np.abs(came).mean()


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_keeps_the_last_price(seed: int) -> None:
    """Where nothing can be known the rule finds next to nothing: here not even by chance."""
    minutes = Minutes.of(walk(DAYS, seed))
    point = learn_point(minutes, 0, LAST, HORIZONS)
    assert not point.is_used.any()
    assert point.sentence == "The point is the last price."
    assert (point.drifts(minutes, np.arange(2_000, 3_000)) == 0.0).all()


def test_shuffled_returns_show_no_skill() -> None:
    """The same moves in another order have nothing to revert to."""
    bars = bouncing(0.2)
    moves = np.diff(np.log(bars.close), prepend=np.log(30_000.0))
    np.random.default_rng(0).shuffle(moves)
    close = np.round(30_000.0 * np.exp(np.cumsum(moves)), 2)
    shuffled = replace(bars, close=close, quote_volume=bars.volume * close)
    assert not learn_point(Minutes.of(shuffled), 0, LAST, HORIZONS).is_used.any()


def test_what_comes_after_the_training_changes_nothing(minutes: Minutes) -> None:
    """Neither the coefficients, nor the rule's numbers, nor a forecast of the past."""
    last = LAST - 1440
    close = minutes.bars.close.copy()
    close[last:] *= np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, LAST - last)))
    changed = Minutes(replace(minutes.bars, close=close))
    before, after = learn_point(minutes, 0, last, HORIZONS), learn_point(changed, 0, last, HORIZONS)
    np.testing.assert_array_equal(before.coefficients, after.coefficients)
    np.testing.assert_array_equal(before.statistic, after.statistic)
    rows = np.arange(last - 500, last)
    np.testing.assert_array_equal(before.drifts(minutes, rows), after.drifts(changed, rows))


def test_short_history_keeps_the_last_price(minutes: Minutes) -> None:
    """With less than eight weeks there is too little to learn from and to try it on."""
    point = learn_point(minutes, 0, 55 * 1440, HORIZONS)
    assert np.isnan(point.statistic).all()
    assert not point.is_used.any()


def test_minute_without_its_inputs_has_the_last_price(minutes: Minutes, point: Point) -> None:
    """No return spans a minute that is not in the record: an hour after it the point may lean again."""
    gap = 45 * 1440
    keep = np.arange(LAST) != gap
    names = ("open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume")
    bars = replace(minutes.bars, **{name: getattr(minutes.bars, name)[keep] for name in names})
    rows = gap + np.array([-1, 4, 59, 64])
    assert (point.drifts(minutes, rows)[:, 0] != 0.0).all()
    assert (point.drifts(Minutes.of(bars), rows)[:, 0] != 0.0).tolist() == [True, False, False, True]


def test_amounts_that_are_not_known_leave_the_returns() -> None:
    """Files without any volume have no mean price paid, and none can be estimated."""
    bars = bouncing(0.3)
    nothing = np.full(len(bars), np.nan)
    without = Minutes.of(replace(bars, volume=nothing, quote_volume=nothing))
    point = learn_point(without, 0, LAST, HORIZONS)
    assert point.is_used[0, 0]
    assert not point.coefficients[:, :, 4:].any()


def test_every_minute_may_revert() -> None:
    """Both groups are found where both do."""
    point = learn_point(Minutes.of(bouncing(0.2, every_minute=True)), 0, LAST, HORIZONS)
    assert point.is_used[:, 0].all()


class TestCompare:
    """R² out of sample, and Diebold and Mariano's statistic."""

    def test_statistic_is_the_mean_gain_over_its_deviation(self) -> None:
        """By hand, with one autocovariance and its weight of a half."""
        returned = np.array([1.0, -2.0, 3.0, -1.0, 2.0, 1.0, -1.0, 2.0, -3.0, 1.0, 1.0])
        expected = np.array([0.5, -1.0, -1.0, 0.0, 1.0, 2.0, -1.0, 0.0, -1.0, 0.5, 0.0])
        gain = np.abs(returned) - np.abs(returned - expected)
        centred = gain - gain.mean()
        variance = (np.sum(centred**2) + 2 * 0.5 * np.sum(centred[1:] * centred[:-1])) / len(gain)
        r_squared, statistic = compare(returned, expected, 1)
        assert statistic == pytest.approx(gain.mean() / np.sqrt(variance / len(gain)))
        assert r_squared == pytest.approx(1 - np.sum((returned - expected) ** 2) / np.sum(returned**2))

    @given(seed=st.integers(0, 10_000), size=st.floats(1e-8, 1e8))
    @settings(max_examples=50, deadline=None)
    def test_unit_does_not_matter(self, seed: int, size: float) -> None:
        """And an expectation of nothing has no statistic."""
        chance = np.random.default_rng(seed)
        returned, expected = chance.normal(size=(2, 200))
        assert compare(size * returned, size * expected, 5) == pytest.approx(compare(returned, expected, 5))
        r_squared, statistic = compare(returned, np.zeros(200), 5)
        assert r_squared == 0.0
        assert np.isnan(statistic)

    def test_too_few_for_the_lag_or_nothing_that_moved_is_not_known(self) -> None:
        """Rather than a number that would pass."""
        ones = np.ones(50)
        assert np.isnan(compare(ones, ones, 5)).all()
        assert np.isnan(compare(np.zeros(100), ones[:1].repeat(100), 1)).all()
