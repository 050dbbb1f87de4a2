"""Trainings: the first one, the line of champions, the gate, and what a forecaster makes of it."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from predictor.forecast.evaluation import Evaluation
from predictor.forecast.forecaster import Forecaster
from predictor.forecast.inputs import Minutes
from predictor.forecast.training import Training, train
from predictor.forecast.walk_forward import WalkForward
from predictor.schedule import Schedule
from shared.bars import Bars
from shared.errors import InputsMissingError, TooLittleHistoryError
from shared.instant import DAY_MS
from shared.levels import LEVELS
from tests.models import START_MS, walk

HORIZONS = (1, 15)


@pytest.fixture(scope="module")
def bars() -> Bars:
    """Two weeks and a day, as the demo has them."""
    return walk(15)


@pytest.fixture(scope="module")
def first(bars: Bars) -> Training:
    """The first training, without a champion, a day before the end."""
    return train(bars.part(0, 14 * 1440), HORIZONS, None)


def test_first_model_comes_with_a_track_to_calibrate_on(bars: Bars, first: Training) -> None:
    """What it and those before it would have forecast, none of which they had seen."""
    assert first.is_better
    track = first.challenger.track
    assert len(track) > 5 * 1440
    assert track.open_time[-1] == bars.open_time[14 * 1440 - 1]
    assert (np.diff(track.open_time) == 60_000).all()
    assert np.isfinite(track.variances).mean() > 0.99


def test_evaluation_has_every_horizon_beside_the_references(first: Training) -> None:
    """Over forecasts whose targets had come."""
    evaluation: Evaluation = first.evaluation
    assert [score.horizon_minutes for score in evaluation.scores] == list(HORIZONS)
    for score in evaluation.scores:
        assert score.n > 500
        assert score.relative_mae == 1.0
        assert score.coverage[80] == pytest.approx(0.8, abs=0.08)
        assert score.qlike_ratio < 1.1
    metrics = evaluation.metrics()
    assert metrics["coverage_80.h15"] == evaluation.scores[1].coverage[80]
    assert all(np.isfinite(value) for value in metrics.values())


def test_challenger_is_held_against_the_champion_on_days_that_neither_saw(bars: Bars, first: Training) -> None:
    """And the reason says by how much; the track goes on from what was served."""
    second = train(bars, HORIZONS, first.challenger)
    assert "held out" in second.reason
    assert second.is_better == second.reason.startswith("The challenger replaces")
    assert second.trained_to.timestamp() < bars.open_time[-1] / 1000 - 86_400
    seen = np.isin(second.challenger.track.open_time, first.challenger.track.open_time)
    same = np.isin(first.challenger.track.open_time, second.challenger.track.open_time)
    np.testing.assert_array_equal(second.challenger.track.variances[seen], first.challenger.track.variances[same])


def test_champion_of_other_horizons_does_not_count(bars: Bars, first: Training) -> None:
    """What it forecast cannot be compared."""
    other = train(bars, (5,), first.challenger)
    assert other.challenger.horizons == (5,)


def test_same_data_has_the_same_digest_and_the_same_model(bars: Bars, first: Training) -> None:
    """A training can be repeated to the bit."""
    again = train(bars.part(0, 14 * 1440), HORIZONS, None)
    assert again.data_digest == first.data_digest
    np.testing.assert_array_equal(again.challenger.track.variances, first.challenger.track.variances)
    assert train(bars, HORIZONS, first.challenger).data_digest != first.data_digest


@pytest.mark.parametrize("days", [0, 1, 4])
def test_too_little_history_is_a_sentence(days: int) -> None:
    """That says how much is wanted."""
    with pytest.raises(TooLittleHistoryError, match="days"):
        train(walk(15).part(0, days * 1440), HORIZONS, None)


def test_forecaster_says_the_same_whether_it_has_worked_before_or_not(bars: Bars, first: Training) -> None:
    """What it keeps between minutes is only a saving of time."""
    warm = Forecaster(first.challenger)
    for minute in range(-130, 0, 13):
        warm.forecast(bars.part(0, len(bars) + minute))
    for made in (warm.forecast(bars), Forecaster(first.challenger).forecast(bars)):
        assert made == Forecaster(first.challenger).forecast(bars)
        for forecast, horizon in zip(made, HORIZONS, strict=True):
            assert forecast.horizon_minutes == horizon
            assert forecast.point == bars.close[-1]
            bounds = [forecast.intervals[level] for level in reversed(LEVELS)]
            lower, upper = [bound[0] for bound in bounds], [bound[1] for bound in bounds]
            assert sorted(lower) == lower
            assert sorted(upper, reverse=True) == upper
            assert lower[-1] < forecast.point < upper[-1]
            assert 0 < forecast.volatility < 0.05


def test_backtest_shows_what_the_service_would_have_forecast() -> None:
    """Days after the training, with the coverage by hour of the day that was counted since."""
    begin_ms, end_ms = START_MS + 14 * DAY_MS, START_MS + 19 * DAY_MS
    bars = walk(19)
    walk_forward = WalkForward(bars, HORIZONS, 5, Schedule("off"))
    made = walk_forward.run(begin_ms, end_ms)
    rows = walk_forward.rows(begin_ms, end_ms)
    forecaster = Forecaster(train(bars.part(0, 14 * 1440), HORIZONS, None).challenger)
    for position in (1, len(rows) - 300, len(rows) - 151, len(rows) - 1):
        forecast = forecaster.forecast(bars.part(0, int(rows[position]) + 1))
        for column, distribution in enumerate(forecast):
            assert distribution.volatility == pytest.approx(np.sqrt(made.variances[position, column]))
            bounds = [distribution.intervals[level] for level in LEVELS]
            np.testing.assert_allclose([lower for lower, _ in bounds], made.lower[:, position, column], rtol=1e-9)
            np.testing.assert_allclose([upper for _, upper in bounds], made.upper[:, position, column], rtol=1e-9)


def test_coverage_by_hour_goes_on_from_model_to_model(bars: Bars, first: Training) -> None:
    """Up to two days before the training, by which every target has come."""
    assert first.challenger.hours is not None
    assert first.challenger.hours.shortfalls.any()
    assert first.challenger.hours.counted_to_ms == START_MS + 13 * DAY_MS
    second = train(bars, HORIZONS, first.challenger)
    assert second.challenger.hours is not None
    assert second.challenger.hours.counted_to_ms == START_MS + 14 * DAY_MS
    change = np.abs(second.challenger.hours.shortfalls - first.challenger.hours.shortfalls)
    assert 0 < change.max() <= 0.8


def test_forecaster_without_its_inputs_says_why(bars: Bars, first: Training) -> None:
    """No minute at all, or too many of the last hours missing."""
    forecaster = Forecaster(first.challenger)
    with pytest.raises(InputsMissingError, match="No minute"):
        forecaster.forecast(bars.part(0, 0))
    with pytest.raises(InputsMissingError, match="missing to forecast from"):
        forecaster.forecast(bars.part(len(bars) - 300, len(bars)))


def test_source_that_tells_no_amounts_is_forecast_without_them(bars: Bars) -> None:
    """Neither trades nor taker amounts are read, and the quote volume is estimated from what is there."""
    nothing = np.full(len(bars), np.nan)
    untold = replace(bars, quote_volume=nothing, trades=nothing, taker_base_volume=nothing)
    training = train(untold.part(0, 14 * 1440), HORIZONS, None)
    columns = training.challenger.model.columns_
    assert any("quote_volume" in name for name in columns)
    assert not any("trades" in name for name in columns)
    estimated = Minutes.of(untold).bars.quote_volume
    np.testing.assert_allclose(estimated, (bars.volume * (bars.high + bars.low + bars.close) / 3.0)[: len(estimated)])
    for forecast in Forecaster(training.challenger).forecast(untold):
        assert 0 < forecast.volatility < 0.05
        assert forecast.intervals[95][0] < forecast.point < forecast.intervals[95][1]


def test_champion_cannot_be_changed(first: Training) -> None:
    """Whoever needs another track or other hours makes another champion."""
    for name in ("model", "track", "hours"):
        with pytest.raises(FrozenInstanceError):
            setattr(first.challenger, name, None)
