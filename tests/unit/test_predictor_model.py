"""The model: what it learns, what it must not see, and what it does without."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from predictor.forecast.inputs import COLUMNS, Minutes
from predictor.forecast.model import DistributionModel
from predictor.forecast.scores import compute_qlike
from shared.bars import Bars
from shared.errors import TooLittleHistoryError
from shared.instant import MINUTE_MS
from tests.models import walk

DAYS = 18
HORIZONS = (1, 5, 15)


def cut(bars: Bars, keep: np.ndarray) -> Bars:
    """The bars at some positions."""
    names = [name for name in Bars.__dataclass_fields__ if name not in {"interval_ms", "least_share"}]
    kept: dict[str, Any] = {name: getattr(bars, name)[keep] for name in names}
    return replace(bars, **kept)


def fitted(bars: Bars, days: float = DAYS - 3) -> tuple[DistributionModel, Minutes]:
    """A model of the first days, and all minutes."""
    minutes = Minutes.of(bars)
    start_ms = int(minutes.open_time[0])
    return DistributionModel(HORIZONS).fit(minutes, start_ms, start_ms + int(days * 86_400_000)), minutes


def test_it_knows_quiet_hours_from_wild_ones_on_days_it_has_not_seen() -> None:
    """Better by QLIKE than the mean variance of what it learned from."""
    model, minutes = fitted(walk(DAYS))
    rows = np.arange((DAYS - 3) * 1440, len(minutes) - 60, 5)
    variances = model.variances(minutes, rows)
    for position, horizon in enumerate(HORIZONS[1:], 1):
        realised = minutes.realised_variance(horizon)
        ours = np.nanmean(compute_qlike(realised[rows], variances[:, position]))
        plain = np.nanmean(compute_qlike(realised[rows], np.full(len(rows), np.nanmean(realised[: rows[0]]))))
        assert ours < 0.75 * plain
        assert np.nanmean(realised[rows] / variances[:, position]) == pytest.approx(1.0, abs=0.15)


def test_shuffled_minutes_show_no_skill() -> None:
    """Without order there is nothing to know: what seems skill then would be a leak."""
    bars = walk(DAYS)
    order = np.random.default_rng(0).permutation(len(bars))
    ratio = [(getattr(bars, name) / bars.open)[order] for name in ("high", "low", "close")]
    opened = 30_000 * np.exp(np.cumsum(np.log(ratio[2])) - np.log(ratio[2]))
    shuffled = replace(
        bars,
        open=opened,
        high=opened * ratio[0],
        low=opened * ratio[1],
        close=opened * ratio[2],
        volume=bars.volume[order],
        quote_volume=bars.volume[order] * opened,
        trades=bars.trades[order],
    )
    model, minutes = fitted(shuffled)
    rows = np.arange((DAYS - 3) * 1440, len(minutes) - 60, 5)
    variances = model.variances(minutes, rows)
    for position, horizon in enumerate(HORIZONS):
        realised = minutes.realised_variance(horizon)
        ours = np.nanmean(compute_qlike(realised[rows], variances[:, position]))
        plain = np.nanmean(compute_qlike(realised[rows], np.full(len(rows), np.nanmean(realised[: rows[0]]))))
        assert ours > 0.98 * plain


def test_another_future_changes_neither_the_model_nor_a_forecast() -> None:
    """Nothing after the end of the training, and nothing after a forecast's own minute, takes part."""
    bars = walk(DAYS)
    first = (DAYS - 2) * 1440
    other = walk(DAYS, seed=9)
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trades")
    is_past = np.arange(len(bars)) < first
    changes: dict[str, Any] = {name: np.where(is_past, getattr(bars, name), getattr(other, name)) for name in names}
    changed = replace(bars, **changes)
    (model, minutes), (otherwise, changed_minutes) = fitted(bars), fitted(changed)
    rows = np.arange((DAYS - 4) * 1440, first, 7)
    np.testing.assert_array_equal(model.variances(minutes, rows), otherwise.variances(changed_minutes, rows))


def test_forecasts_go_on_over_a_missing_minute_but_not_without_their_own() -> None:
    """Part of a window may be missing; a minute that is not there makes no forecast."""
    bars = walk(DAYS)
    gap = (DAYS - 1) * 1440
    keep = np.ones(len(bars), dtype=bool)
    keep[gap : gap + 2] = False
    model, minutes = fitted(cut(bars, keep))
    variances = model.variances(minutes, np.arange(gap - 1, gap + 40))
    assert np.isfinite(variances[0]).all()
    assert np.isnan(variances[1:3]).all()
    assert np.isfinite(variances[35:]).all()


def test_after_a_long_gap_there_is_no_forecast_until_windows_are_full_again() -> None:
    """Nothing is computed over hours that are not there as if they were."""
    bars = walk(DAYS)
    gap = (DAYS - 2) * 1440
    keep = np.ones(len(bars), dtype=bool)
    keep[gap : gap + 600] = False
    model, minutes = fitted(cut(bars, keep))
    assert np.isnan(model.variances(minutes, np.arange(gap + 600, gap + 610))).all()


@pytest.mark.parametrize("absent", [("trades",), ("quote_volume", "trades", "taker_base_volume")])
def test_columns_that_the_data_lacks_are_done_without(absent: tuple[str, ...]) -> None:
    """Prices alone make a model too."""
    bars = walk(DAYS)
    nothing: dict[str, Any] = {name: np.full(len(bars), np.nan) for name in absent}
    model, minutes = fitted(replace(bars, **nothing))
    assert not any("trades" in name for name in model.columns_)
    assert np.isfinite(model.variances(minutes, np.array([len(minutes) - 1]))).all()


def test_predict_gives_what_the_record_gives_and_nan_for_rows_that_lack_something() -> None:
    """One row a minute, in the columns' order; the model never guesses."""
    model, minutes = fitted(walk(DAYS))
    rows = np.arange(20_000, 20_010)
    table = minutes.inputs(rows, COLUMNS)
    np.testing.assert_array_equal(model.predict(table), model.variances(minutes, rows))
    table[3, COLUMNS.index(model.columns_[0])] = np.nan
    assert np.isnan(model.predict(table)).any(axis=1).tolist() == [row == 3 for row in range(10)]


def test_too_short_a_record_is_said() -> None:
    """With how much is wanted."""
    minutes = Minutes.of(walk(4))
    start_ms = int(minutes.open_time[0])
    with pytest.raises(TooLittleHistoryError, match="forecasts to learn from"):
        DistributionModel(HORIZONS).fit(minutes, start_ms, start_ms + 1440 * MINUTE_MS)
