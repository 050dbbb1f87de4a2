"""Coverage by hour of the day: the short hours' intervals grow, the others stay, and nothing ahead is looked at."""

import numpy as np
import pytest
from scipy.stats import norm

from predictor.forecast.hourly_coverage import (
    HourlyCoverage,
    find_count_end,
    find_counted,
    scale_day_by_day,
    start_counting,
)
from shared.instant import DAY_MS, HOUR_MS, MINUTE_MS
from shared.rolling import Floats, Integers
from tests.models import START_MS

WILD_HOUR = 13


def forecasts(days: int, factor: float, horizons: int = 1, seed: int = 3) -> tuple[Integers, Floats]:
    """Every five minutes: returns as shares of an 80 % reach that is right but in one hour, where they go further."""
    made_at = START_MS + np.arange(days * 288, dtype=np.int64) * 5 * MINUTE_MS
    moved = np.abs(np.random.default_rng(seed).normal(size=(len(made_at), horizons))) / norm.ppf(0.9)
    moved[made_at // HOUR_MS % 24 == WILD_HOUR] *= factor
    return made_at, moved


def covered_by_hour(made_at: Integers, shares: Floats, scales: Floats) -> Floats:
    """The share of forecasts, in per cent, that each hour's intervals held."""
    held = (shares <= scales)[:, 0]
    return np.array([100.0 * held[made_at // HOUR_MS % 24 == hour].mean() for hour in range(24)])


def test_hour_that_was_short_grows_until_it_holds_what_it_states() -> None:
    """Unscaled it holds 70 % for 80; the other hours are as good as before."""
    made_at, shares = forecasts(500, 1.3)
    late = made_at >= START_MS + 250 * DAY_MS
    scales = scale_day_by_day(start_counting(1, START_MS), made_at, shares, made_at)
    before = covered_by_hour(made_at[late], shares[late], np.ones((int(late.sum()), 1)))
    after = covered_by_hour(made_at[late], shares[late], scales[late])
    assert before[WILD_HOUR] < 71
    assert after[WILD_HOUR] == pytest.approx(80, abs=1.5)
    assert np.abs(np.delete(after, WILD_HOUR) - 80).max() < 2.5
    assert scales[-1] == pytest.approx(1.0, abs=0.05)


def test_reach_is_scaled_within_bounds_whatever_happens() -> None:
    """Years of an hour that is never held, or always."""
    made_at, shares = forecasts(400, 1e6)
    grown = scale_day_by_day(start_counting(1, START_MS), made_at, shares, made_at)
    shrunk = scale_day_by_day(start_counting(1, START_MS), made_at, np.zeros_like(shares), made_at)
    assert grown.max() == pytest.approx(np.exp(0.3))
    assert shrunk.min() == pytest.approx(np.exp(-0.3))


def test_what_has_not_come_changes_no_scale() -> None:
    """On a day only what was made two days before it, or earlier, is counted: a day's horizon has passed by then."""
    made_at, shares = forecasts(30, 1.3, 2)
    today_ms = START_MS + 20 * DAY_MS
    changed = shares.copy()
    changed[made_at >= today_ms - DAY_MS] = 100.0
    today = made_at[(made_at >= today_ms) & (made_at < today_ms + DAY_MS)]
    before, after = (
        scale_day_by_day(start_counting(2, START_MS), made_at, values, today) for values in (shares, changed)
    )
    np.testing.assert_array_equal(before, after)
    changed[made_at >= today_ms - 2 * DAY_MS] = 100.0
    assert (scale_day_by_day(start_counting(2, START_MS), made_at, changed, today) > before).all()


def test_days_counted_one_by_one_or_at_once_are_the_same() -> None:
    """A predictor that was away has the shortfalls of one that was not."""
    made_at, shares = forecasts(12, 1.3)
    at_once = start_counting(1, START_MS).count_until(START_MS + 12 * DAY_MS, made_at, shares)
    hours = start_counting(1, START_MS)
    for until_ms in range(START_MS, START_MS + 12 * DAY_MS + 1, 4 * HOUR_MS):
        hours = hours.count_until(until_ms, made_at, shares)
    np.testing.assert_array_equal(hours.shortfalls, at_once.shortfalls)
    assert hours.counted_to_ms == at_once.counted_to_ms == START_MS + 12 * DAY_MS


def test_hours_without_an_outcome_have_no_shortfall() -> None:
    """As when the exchange was halted."""
    made_at, shares = forecasts(3, 1.0)
    missing = made_at // HOUR_MS % 24 == 5
    shares[missing] = np.nan
    hours = start_counting(1, START_MS).count_until(START_MS + 3 * DAY_MS, made_at, shares)
    assert hours.shortfalls[0, 5] == 0.0
    assert (np.delete(hours.shortfalls[0], 5) != 0.0).all()


def test_one_day_s_shortfall_is_what_was_missing_of_80_per_cent() -> None:
    """Three in four held is a twentieth of a day's coverage, in that hour and horizon only."""
    made_at = START_MS + np.arange(4, dtype=np.int64) * 5 * MINUTE_MS
    shares = np.array([[0.5, np.nan], [0.9, np.nan], [1.0, np.nan], [1.01, np.nan]])
    hours = start_counting(2, START_MS).count_until(START_MS + DAY_MS, made_at, shares)
    expected = np.zeros((2, 24))
    expected[0, 0] = 0.8 - 0.75
    np.testing.assert_allclose(hours.shortfalls, expected)
    np.testing.assert_allclose(hours.scales(made_at[:1] + DAY_MS), [[np.exp(0.03 * 0.05), 1.0]])


def test_days_are_utc_and_whole() -> None:
    """Whichever minute asks."""
    midnight = START_MS + 9 * DAY_MS
    assert find_count_end(midnight) == find_count_end(midnight + DAY_MS - MINUTE_MS) == midnight - DAY_MS
    assert start_counting(1, midnight + 5 * HOUR_MS).counted_to_ms == midnight
    assert list(find_counted(START_MS + np.arange(11) * MINUTE_MS)) == [4, 9]


def test_hours_are_not_changed_in_place() -> None:
    """A champion that was stored keeps its shortfalls."""
    made_at, shares = forecasts(3, 1.3)
    hours = HourlyCoverage(np.zeros((1, 24)), START_MS)
    hours.count_until(START_MS + 3 * DAY_MS, made_at, shares)
    assert not hours.shortfalls.any()
