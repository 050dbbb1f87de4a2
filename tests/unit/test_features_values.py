"""Each feature's values: against the same formula in plain Python, and against examples worked by hand or in print."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bars import Bars
from shared.feature_table import ALL_FEATURES
from shared.features import compute
from tests.unit.feature_bars import MINUTE_MS, assert_same, bars_of, make_rows, stretches
from tests.unit.feature_reference import RECURSIVE, Reference

COUNT = 200


def assert_as_reference(bars: Bars, reference: Reference, names: tuple[str, ...]) -> None:
    got = compute(bars, names)
    for name in names:
        want = np.array([math.nan if value is None else value for value in reference.values(name)])
        assert_same(name, got[name], want, bars.close)


@given(
    seed=st.integers(0, 2**32),
    missing=stretches(COUNT, 5),
    still=stretches(COUNT, 90),
    interval_minutes=st.sampled_from([1, 5, 15, 30, 60, 240, 1440]),
    price=st.sampled_from([2e-5, 1.0, 30_000.0, 1e8]),
)
@settings(max_examples=20)
def test_every_feature_is_its_formula(
    seed: int, missing: frozenset[int], still: frozenset[int], interval_minutes: int, price: float
) -> None:
    """Whatever is missing, at every interval and price, a value is what its formula gives row by row, to 1e-9."""
    rows = make_rows(seed, COUNT, missing=missing, still=still, price=price, first=27_993_600 // interval_minutes)
    interval_ms = interval_minutes * MINUTE_MS
    assert_as_reference(bars_of(rows, interval_ms), Reference(rows, interval_ms), ALL_FEATURES)


def test_long_memories_are_their_formula() -> None:
    """The windows of a day, and recursions over more bars than they remember; before a gap and anew after it."""
    rows = make_rows(7, 2_000, missing=range(1_500, 1_510), still=range(600, 700))
    names = ("realised_volatility_360", "realised_volatility_1440", *RECURSIVE)
    assert_as_reference(bars_of(rows), Reference(rows, MINUTE_MS), names)


# The closes and the index of the worked example that StockCharts' school publishes for Wilder's RSI (the QQQQ fund).
CLOSES = (
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
    45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515,
    45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
)  # fmt: skip
PUBLISHED = (
    70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38,
    54.71, 50.42, 39.99, 41.46, 41.87, 45.46, 37.30, 33.08, 37.77,
)  # fmt: skip


def bars_of_closes(closes: tuple[float, ...]) -> Bars:
    """Bars without a range that trade one coin each."""
    close = np.array(closes)
    ones = np.ones(len(closes))
    return Bars(np.arange(len(closes)) * MINUTE_MS, MINUTE_MS, close, close, close, close, ones, close, ones, ones / 2)


def test_rsi_is_the_published_example() -> None:
    """Wilder's smoothing, not an exponential mean of 14, and begun with a simple mean: the index as printed."""
    index = compute(bars_of_closes(CLOSES), ["rsi_14"])["rsi_14"]
    assert np.isnan(index[:14]).all()
    assert np.round(index[14:], 2).tolist() == list(PUBLISHED)


@pytest.mark.parametrize(("closes", "index"), [(range(1, 40), 100.0), (range(40, 1, -1), 0.0), ([5] * 40, 50.0)])
def test_rsi_of_one_way_and_of_no_way(closes: list[int], index: float) -> None:
    """Only gains are 100, only losses 0, and 50 where nothing moved."""
    assert compute(bars_of_closes(tuple(map(float, closes))), ["rsi_14"])["rsi_14"][14:].tolist() == [index] * (
        len(closes) - 14
    )


def test_rsi_forgets_what_moved_long_ago() -> None:
    """Wilder's means never reach zero; once they are too small to matter, nothing moved."""
    index = compute(bars_of_closes((*CLOSES, *([43.0] * 500))), ["rsi_14"])["rsi_14"]
    assert index[len(CLOSES) + 60] == pytest.approx(index[len(CLOSES)])
    assert index[-1] == 50.0


def test_ema_begins_with_the_simple_mean_of_15() -> None:
    """Null for 14 bars, then the mean of 15, then 2/16 of the way to each close."""
    mean = compute(bars_of_closes(tuple(map(float, range(1, 18)))), ["ema_15"])["ema_15"]
    assert np.isnan(mean[:14]).all()
    assert mean[14:].tolist() == pytest.approx([8.0, 9.0, 10.0])


@pytest.mark.parametrize(
    ("name", "bars_until_first"),
    [("ema_15", 15), ("rsi_14", 15), ("atr_14", 15), ("macd_12_26", 26), ("macd_signal_9", 34), ("macd_histogram", 34)],
)
def test_a_recursive_feature_begins_when_its_first_window_is_full(name: str, bars_until_first: int) -> None:
    """Null before, and null never again."""
    value = compute(bars_of(make_rows(1, 100)), [name])[name]
    assert np.flatnonzero(~np.isnan(value)).tolist() == list(range(bars_until_first - 1, 100))


E = math.e


@pytest.mark.parametrize(
    ("name", "candle", "expected"),
    [
        ("parkinson_60", (1.0, E, 1.0, 2.0), 1 / math.sqrt(4 * math.log(2))),
        ("garman_klass_60", (2.0, E, 1.0, 2.0), math.sqrt(0.5)),
        ("garman_klass_60", (1.0, E, 1.0, E), math.sqrt(1.5 - 2 * math.log(2))),
        ("rogers_satchell_60", (1.0, E, 1.0, E), 0.0),
        ("rogers_satchell_60", (1.0, math.sqrt(E), 1 / math.sqrt(E), 1.0), math.sqrt(0.5)),
    ],
)
def test_range_volatility_of_a_candle(name: str, candle: tuple[float, float, float, float], expected: float) -> None:
    """Sixty times the same candle (open, high, low, close) has the volatility of one."""
    prices = [np.full(60, price) for price in candle]
    opened, highest, lowest, closed = prices
    ones = np.ones(60)
    bars = Bars(np.arange(60) * MINUTE_MS, MINUTE_MS, opened, highest, lowest, closed, ones, ones, ones, ones)
    assert compute(bars, [name])[name][-1] == pytest.approx(expected, abs=1e-15)


def test_clock_features_are_of_the_open_in_utc() -> None:
    """2023-03-24 was a Friday; the clock needs no window, and it is integers."""
    bars = bars_of(make_rows(1, 3, first=27_993_600 + 13 * 60 + 58))
    clock = compute(bars, ["hour", "day_of_week"])
    assert clock["hour"].tolist() == [13, 13, 14]
    assert clock["day_of_week"].tolist() == [4, 4, 4]
    assert {values.dtype for values in clock.values()} == {np.dtype(np.int64)}
