"""The open candle grows into the final one and is never mistaken for it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from simulator.generator import Generator
from simulator.kline import Kline
from simulator.open_candle import make_open_candle

PRICE, NOTHING = "28080.00000000", "0.00000000"
FLAT = Kline(0, PRICE, PRICE, PRICE, PRICE, NOTHING, 41_646, NOTHING, 0, NOTHING, NOTHING)
GENERATOR = Generator(("BTCUSDT",))


def final_kline(minute: int) -> Kline:
    return GENERATOR.day("BTCUSDT", 20_458).kline(minute)


@given(st.integers(0, 1439), st.integers(0, 59_999))
def test_it_differs_from_the_final_row_until_the_end(minute: int, elapsed_ms: int) -> None:
    """A collector that stores an open candle stores a wrong row."""
    final = final_kline(minute)
    partial = make_open_candle(final, elapsed_ms)
    assert Decimal(partial.volume) < Decimal(final.volume)
    assert partial.trades < final.trades


@given(st.integers(0, 1439), st.integers(0, 59_999))
def test_it_is_a_consistent_candle_within_the_final_one(minute: int, elapsed_ms: int) -> None:
    """Its prices lie within the minute's, and its open is the minute's open."""
    final = final_kline(minute)
    partial = make_open_candle(final, elapsed_ms)
    assert partial.open == final.open
    low, high = Decimal(partial.low), Decimal(partial.high)
    assert Decimal(final.low) <= low <= min(Decimal(partial.open), Decimal(partial.close))
    assert max(Decimal(partial.open), Decimal(partial.close)) <= high <= Decimal(final.high)
    assert partial.trades <= final.trades
    assert {len(text.partition(".")[2]) for text in (partial.low, partial.close, partial.volume)} == {8}


@given(st.integers(0, 1439), st.tuples(st.integers(0, 59_999), st.integers(0, 59_999)).map(sorted))
def test_it_only_grows(minute: int, instants: list[int]) -> None:
    """Extremes widen and sums rise as the minute passes."""
    earlier, later = (make_open_candle(final_kline(minute), instant) for instant in instants)
    assert Decimal(earlier.high) <= Decimal(later.high)
    assert Decimal(earlier.low) >= Decimal(later.low)
    assert Decimal(earlier.quote_volume) <= Decimal(later.quote_volume)
    assert earlier.trades <= later.trades


def test_it_begins_at_the_open_without_volume() -> None:
    """Nothing has been traded at the minute's first instant."""
    final = final_kline(3)
    partial = make_open_candle(final, 0)
    assert {partial.open, partial.high, partial.low, partial.close} == {final.open}
    assert Decimal(partial.volume) == 0


def test_a_minute_without_trades_is_flat_all_along() -> None:
    """Nothing is invented; only the close time is the usual one while the minute runs."""
    assert make_open_candle(FLAT, 30_000) == FLAT._replace(close_time=59_999)


def test_the_price_keeps_the_files_own_precision() -> None:
    """A file with two places is continued with two places."""
    final = Kline(0, "10.00", "12.50", "9.75", "11.00", "3.5", 59_999, "38.00", 4, "1.0", "11.00")
    partial = make_open_candle(final, 30_000)
    assert len(partial.close.partition(".")[2]) == 2
    assert len(partial.volume.partition(".")[2]) == 1
