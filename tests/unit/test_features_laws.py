"""What holds for all features: pages, gaps, the future, scales, stillness, and bars that lack something."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.feature_table import ALL_FEATURES, FEATURES, WARM_UP_BARS
from shared.features import compute, warm_up_bars
from tests.unit.feature_bars import assert_same, bars_of, make_rows, stretches
from tests.unit.feature_reference import Row

COUNT = 150
SHORT_MEMORY = tuple(name for name in ALL_FEATURES if warm_up_bars([name]) <= WARM_UP_BARS)
RECURSIVE = tuple(name for name in ALL_FEATURES if FEATURES[name].reads == WARM_UP_BARS)
WINDOWED = tuple(name for name in ALL_FEATURES if FEATURES[name].reads != WARM_UP_BARS)
OF_AMOUNT = tuple(name for name in ALL_FEATURES if name.startswith("mean_quote_volume_"))
OF_TRADES = tuple(name for name in ALL_FEATURES if name.startswith("mean_trades_"))
# Of returns that are all 0 they would be 0 / 0.
OF_STANDING_STILL = tuple(name for name in ALL_FEATURES if name.startswith(("standardised_", "downside_share_")))
OF_DISTANCE = tuple(name for name in ALL_FEATURES if name.startswith("vwap_distance_"))
OF_VOLUME = ("vwap_60", *OF_DISTANCE, "taker_share_1", "taker_share_60", "volume_ratio_60", "trades_ratio_60")

seeds = st.integers(0, 2**32)


@given(seed=seeds, start=st.integers(0, 900), missing=stretches(1_000, 5), still=stretches(1_000, 400))
@settings(max_examples=40, deadline=None)
def test_values_do_not_depend_on_the_page(
    seed: int, start: int, missing: frozenset[int], still: frozenset[int]
) -> None:
    """Given its warm-up, a page's rows have the values that they have in the whole, to 1e-9."""
    rows = make_rows(seed, 1_000, missing=missing, still=still)
    bars = bars_of(rows)
    whole = compute(bars, SHORT_MEMORY)
    for name in SHORT_MEMORY:
        warm_up = min(start, warm_up_bars([name]))
        page = compute(bars_of(rows[start - warm_up : start + 60]), [name])[name][warm_up:]
        assert_same(name, page, whole[name][start : start + 60], bars.close[start : start + 60])


@pytest.mark.parametrize("name", ALL_FEATURES)
def test_the_warm_up_is_what_the_first_row_needs(name: str) -> None:
    """With it the first row has its whole value; a windowed one has none with a bar less."""
    rows = make_rows(3, 4_500)
    reads = warm_up_bars([name])
    whole = compute(bars_of(rows), [name])[name]
    page = compute(bars_of(rows[-reads - 1 :]), [name])[name]
    assert page[-1] == pytest.approx(whole[-1], rel=1e-12)
    if name in WINDOWED and reads:
        assert np.isnan(compute(bars_of(rows[-reads:]), [name])[name]).all()


@given(seed=seeds, other=seeds, last=st.integers(0, COUNT - 1), missing=stretches(COUNT, 5))
@settings(max_examples=40, deadline=None)
def test_nothing_looks_ahead(seed: int, other: int, last: int, missing: frozenset[int]) -> None:
    """Another future, or none, changes nothing up to a row."""
    rows = make_rows(seed, COUNT)
    future = make_rows(other, COUNT, missing=missing, price=9_000.0)
    bars = bars_of(rows)
    known = compute(bars_of(rows[: last + 1]), ALL_FEATURES)
    otherwise = compute(
        bars_of(rows[: last + 1] + [row for row in future if row.number > rows[last].number]), ALL_FEATURES
    )
    for name, values in compute(bars, ALL_FEATURES).items():
        assert_same(name, known[name], values[: last + 1], bars.close[: last + 1])
        assert_same(name, otherwise[name][: last + 1], values[: last + 1], bars.close[: last + 1])


@given(seed=seeds, gap=st.integers(1, COUNT - 1), length=st.integers(1, 3_000))
@settings(max_examples=40, deadline=None)
def test_what_comes_before_a_gap_is_forgotten(seed: int, gap: int, length: int) -> None:
    """After missing bars, one or many, every value is that of the bars after them alone."""
    rows = make_rows(seed, COUNT)
    after = [row._replace(number=row.number + length) for row in rows[gap:]]
    together = compute(bars_of(rows[:gap] + after), ALL_FEATURES)
    bars = bars_of(after)
    for name, values in compute(bars, ALL_FEATURES).items():
        assert_same(name, together[name][gap:], values, bars.close)


def test_bars_of_which_none_has_a_neighbour_have_only_their_own_values() -> None:
    """Many runs of one bar: what needs a second bar is null, and the rest is there."""
    rows = make_rows(2, 2_000, missing=range(0, 2_000, 2))
    for name, values in compute(bars_of(rows), ALL_FEATURES).items():
        assert np.isnan(values).all() == (warm_up_bars([name]) > 0), name


SCALES = [2.0**-20, 0.5, 2.0**12]
"""Powers of two, which leave every digit of a price as it is."""


@pytest.mark.parametrize("scale", SCALES)
def test_prices_scale_values_in_quote_currency_and_no_others(scale: float) -> None:
    """A unit says how a value follows the price."""
    bars = bars_of(make_rows(11, 1_600, missing=range(700, 703), still=range(900, 1_000)))
    scaled = replace(
        bars,
        **{name: getattr(bars, name) * scale for name in ("open", "high", "low", "close", "quote_volume")},
    )
    got = compute(scaled, ALL_FEATURES)
    for name, values in compute(bars, ALL_FEATURES).items():
        factor = scale if FEATURES[name].unit.startswith("quote currency") else 1.0
        assert_same(name, got[name], values * np.float64(factor), scaled.close)


@pytest.mark.parametrize("scale", SCALES)
def test_volumes_scale_nothing(scale: float) -> None:
    """Every feature of volume is a share, a multiple or a price, but for the amounts themselves."""
    bars = bars_of(make_rows(12, 200))
    scaled = replace(
        bars, **{name: getattr(bars, name) * scale for name in ("volume", "quote_volume", "taker_base_volume")}
    )
    got = compute(scaled, ALL_FEATURES)
    for name, values in compute(bars, ALL_FEATURES).items():
        factor = scale if name in OF_AMOUNT else 1.0
        assert_same(name, got[name], values * np.float64(factor), bars.close)


def test_a_huge_value_leaves_no_trace_once_it_has_left_the_window() -> None:
    """Windows are not carried along in running sums, so a bad print does not cost the digits of later rows."""
    rows = make_rows(13, 200)
    spike = rows[20]._replace(high=1e15, close=1e14, volume=1e18, quote_volume=1e30, trades=1e12)
    bars = bars_of(rows)
    got = compute(bars_of([*rows[:20], spike, *rows[21:]]), WINDOWED)
    for name, values in compute(bars, WINDOWED).items():
        later = slice(21 + warm_up_bars([name]), None)
        assert_same(name, got[name][later], values[later], bars.close[later])


@pytest.mark.parametrize("price", [0.1, 27_123.45, 1e-7])
def test_a_price_that_stands_still_has_no_spread_at_all(price: float) -> None:
    """Exactly 0, not what rounding leaves; and null where 0 would be divided by 0."""
    flat = Row(0, price, price, price, price, 0.0, 0.0, 0.0, 0.0)
    last = {
        name: values[-1]
        for name, values in compute(bars_of([flat._replace(number=n) for n in range(4_400)]), ALL_FEATURES).items()
    }
    null = {*OF_VOLUME, *OF_STANDING_STILL, "jump_share_60", "bollinger_percent_b_20", "stochastic_k_14"}
    level = {"ema_15", "sma_15", "sma_60", "bollinger_upper_20", "bollinger_lower_20"}
    clock = {"hour", "day_of_week", "time_of_day_sin", "time_of_day_cos"}
    assert {name for name, value in last.items() if np.isnan(value)} == null
    assert [last[name] for name in sorted(level)] == pytest.approx([price] * len(level), rel=1e-14)
    assert last["ema_15"] == price
    assert last["rsi_14"] == 50.0
    assert {name: value for name, value in last.items() if name not in null | level | clock | {"rsi_14"}} == {
        name: 0.0 for name in ALL_FEATURES if name not in null | level | clock | {"rsi_14"}
    }


def test_minutes_without_trades_among_others_count_as_nothing() -> None:
    """A share over a window is that of its trades; the minute itself has no share."""
    rows = make_rows(14, 120, still=range(100, 110))
    values = compute(bars_of(rows), OF_VOLUME)
    quiet = slice(100, 110)
    assert np.isnan(values["taker_share_1"][quiet]).all()
    assert (values["volume_ratio_60"][quiet] == 0.0).all()
    for name in ("vwap_60", "vwap_distance_60", "taker_share_60"):
        assert np.isfinite(values[name][quiet]).all()


def test_amounts_too_small_for_the_exchange_to_count_have_no_distance() -> None:
    """Where coins cost next to nothing, a traded minute's quote volume can be 0: no error, no infinity."""
    bars = bars_of([row._replace(quote_volume=0.0) for row in make_rows(18, 80)])
    values = compute(bars, ALL_FEATURES)
    assert (values["vwap_60"][59:] == 0.0).all()
    assert all(np.isnan(values[name]).all() for name in OF_DISTANCE)
    assert not any(np.isinf(array).any() for array in values.values())


def test_no_rise_or_fall_is_too_large_for_a_logarithm() -> None:
    """From a coin that costs a mint to one that costs nothing and back: finite, and the same both ways."""
    rows = [
        row._replace(open=1e-8, low=1e-8, high=1e15, close=1e15 if row.number % 2 else 1e-8)
        for row in make_rows(19, 1_600)
    ]
    values = compute(bars_of(rows), ALL_FEATURES)
    assert not any(np.isinf(array).any() for array in values.values())
    assert np.abs(values["log_return_1"][1:]).tolist() == pytest.approx([23 * np.log(10)] * 1_599)


@pytest.mark.parametrize(
    ("column", "features"),
    [
        ("quote_volume", {"vwap_60", *OF_DISTANCE, *OF_AMOUNT}),
        ("taker_base_volume", {"taker_share_1", "taker_share_60"}),
        ("trades", {"trades_ratio_60", *OF_TRADES}),
        ("volume", set(OF_VOLUME) - {"trades_ratio_60"}),
    ],
)
def test_an_unknown_amount_makes_its_own_features_null_and_no_others(column: str, features: set[str]) -> None:
    """Sources without a column, or without it for some bars, keep every other feature."""
    bars = bars_of(make_rows(15, 300))
    amounts = getattr(bars, column).copy()
    amounts[150] = np.nan
    got = compute(replace(bars, **{column: amounts}), ALL_FEATURES)
    for name, values in compute(bars, ALL_FEATURES).items():
        touched = slice(150, 151 + warm_up_bars([name])) if name in features else slice(0, 0)
        want = values.astype(np.float64)
        want[touched] = np.nan
        assert_same(name, got[name], want, bars.close)


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", ALL_FEATURES)
def test_hardly_any_bars_are_no_trouble(name: str, count: int) -> None:
    """As many values as bars, and null where the window is longer."""
    values = compute(bars_of(make_rows(16, count)), [name])[name]
    assert len(values) == count
    assert np.isfinite(values).tolist() == [position >= FEATURES[name].reads for position in range(count)]


@pytest.mark.parametrize("name", ALL_FEATURES)
def test_the_bars_given_are_left_as_they_are(name: str) -> None:
    """Arrays that may not be written to, such as a page's own, will do."""
    bars = bars_of(make_rows(17, 80))
    for column in (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.quote_volume):
        column.flags.writeable = False
    assert len(compute(bars, [name])[name]) == 80
