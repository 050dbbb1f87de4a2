"""Conformal intervals: they cover what they claim, and see nothing that has not come."""

from dataclasses import replace

import numpy as np
import pytest

from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import Calibration
from predictor.forecast.track import Track
from shared.instant import MINUTE_MS
from shared.levels import LEVELS
from tests.models import walk

HORIZONS = (1, 15)


def tracked(days: float = 24, seed: int = 4) -> tuple[Minutes, Track]:
    """Minutes, and a track that tells their true variance but for its level."""
    minutes = Minutes.of(walk(days, seed))
    deviation = 5e-4 * np.exp(0.5 * np.sin(2 * np.pi * np.arange(len(minutes)) / 1440))
    variances = np.column_stack([4.0 * horizon * deviation**2 for horizon in HORIZONS])
    return minutes, Track(minutes.open_time, variances, np.zeros_like(variances))


def test_intervals_cover_what_they_claim_whatever_the_level_of_the_variance() -> None:
    """The forecast variance is four times too large; the scores put that right, in quiet and in wild hours."""
    minutes, track = tracked()
    late = track.since(int(track.open_time[0]) + 12 * 86_400_000)
    late = late.at(slice(None, None, 5))
    quantiles = Calibration(minutes, track, HORIZONS).quantiles(late.open_time, late.variances)
    rows = (late.open_time - track.open_time[0]) // MINUTE_MS
    for position, horizon in enumerate(HORIZONS):
        moved = np.abs(minutes.log_return(horizon)[rows])
        known = np.isfinite(moved)
        wild = late.variances[:, position] > np.median(late.variances[:, position])
        for level, reach in zip(LEVELS, quantiles[:, :, position], strict=True):
            covered = moved <= reach * np.sqrt(late.variances[:, position])
            assert 100 * covered[known].mean() == pytest.approx(level, abs=3)
            assert 100 * covered[known & wild].mean() == pytest.approx(level, abs=5)


def test_what_has_not_come_changes_no_quantile() -> None:
    """Not the target's own minutes, nor anything after the forecast."""
    minutes, track = tracked(12)
    asked = track.at(slice(8_000, 8_001))
    before = Calibration(minutes, track, HORIZONS).quantiles(asked.open_time, asked.variances)
    close = minutes.bars.close.copy()
    close[8_001:] *= 1.5
    changed = Minutes(replace(minutes.bars, close=close))
    after = Calibration(changed, track, HORIZONS).quantiles(asked.open_time, asked.variances)
    np.testing.assert_array_equal(before, after)


def test_without_scores_the_tails_are_a_students() -> None:
    """Wider apart than a normal's at 95 %, and finite."""
    minutes, track = tracked(4)
    quantiles = Calibration(minutes, track, HORIZONS).quantiles(track.open_time[:5], track.variances[:5])
    assert (np.diff(quantiles, axis=0) > 0).all()
    assert quantiles[LEVELS.index(95), 0, 0] == pytest.approx(1.99, abs=0.01)


def test_missing_forecasts_and_targets_count_for_nothing() -> None:
    """A gap in either leaves the others' quantiles."""
    minutes, track = tracked()
    variances = track.variances.copy()
    variances[100:3_000] = np.nan
    close = minutes.bars.close.copy()
    close[5_000:5_100] = np.nan
    calibration = Calibration(
        Minutes(replace(minutes.bars, close=close)), replace(track, variances=variances), HORIZONS
    )
    assert np.isfinite(calibration.quantiles(track.open_time[-5:], track.variances[-5:])).all()
