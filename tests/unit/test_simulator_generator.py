"""Invented minutes are plausible, repeatable and continuous."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.generator import DAYS, FIRST_DAY, Generator
from simulator.kline import DAY_MS, MINUTE_MS, MINUTES_A_DAY, Integers

DAY = 20_458  # 2026-01-05


def month(column: str, symbol: str = "BTCUSDT", seed: int = 7) -> Integers:
    generator = Generator((symbol,), seed)
    return np.concatenate([generator.day(symbol, DAY + day).units[column] for day in range(28)])


@given(st.integers(DAYS.start, DAYS.stop - 1), st.lists(st.integers(DAYS.start, DAYS.stop - 1), max_size=3))
@settings(max_examples=25, deadline=None)
def test_a_day_is_the_same_whatever_was_asked_before(day: int, before: list[int]) -> None:
    """Random access: no day depends on which others were made."""
    travelled = Generator(("BTCUSDT",))
    for other in before:
        travelled.day("BTCUSDT", other)
    assert travelled.day("BTCUSDT", day).rows == Generator(("BTCUSDT",)).day("BTCUSDT", day).rows


def test_seeds_and_symbols_differ() -> None:
    """Another seed or another symbol is another history."""
    rows = [Generator(("BTCUSDT",), seed).day("BTCUSDT", DAY).rows[0] for seed in (7, 8)]
    rows += [Generator(("AAAUSDT", "BBBUSDT")).day(symbol, DAY).rows[0] for symbol in ("AAAUSDT", "BBBUSDT")]
    assert len(set(rows)) == 4


@given(st.integers(DAYS.start + 1, DAYS.stop - 1))
@settings(max_examples=25, deadline=None)
def test_a_day_opens_where_the_last_one_closed(day: int) -> None:
    """No jump at midnight."""
    generator = Generator(("BTCUSDT",))
    assert generator.day("BTCUSDT", day - 1).kline(-1).close == generator.day("BTCUSDT", day).kline(0).open


def test_every_minute_is_there_and_on_the_grid() -> None:
    """No holes by default."""
    opened = month("open_time")
    assert opened[0] == DAY * DAY_MS
    assert set(np.diff(opened)) == {MINUTE_MS}
    assert (month("close_time") == opened + MINUTE_MS - 1).all()


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ANYUSDT"])
def test_rows_are_consistent(symbol: str) -> None:
    """Low ≤ open, close ≤ high; takers are a part of the volume; the quote volume is at prices of the minute."""
    column = {
        name: month(name, symbol)
        for name in ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base", "taker_quote")
    }
    assert (column["low"] > 0).all()
    assert (column["low"] <= np.minimum(column["open"], column["close"])).all()
    assert (column["high"] >= np.maximum(column["open"], column["close"])).all()
    assert (column["volume"] > 0).all()
    assert (column["trades"] > 0).all()
    assert ((column["taker_base"] >= 0) & (column["taker_base"] <= column["volume"])).all()
    assert (column["taker_quote"] <= column["quote_volume"]).all()
    average = column["quote_volume"] / column["volume"] * 1e8
    assert ((average >= column["low"] - 1) & (average <= column["high"] + 1)).all()


def test_texts_have_eight_places() -> None:
    """Two decimals of price and five of volume, written with eight as the exchange does."""
    kline = Generator(("BTCUSDT",)).day("BTCUSDT", DAY).kline(700)
    for price in (kline.open, kline.high, kline.low, kline.close):
        assert price[-9] == "."
        assert price.endswith("000000")
    assert kline.volume[-9] == "."
    assert kline.volume.endswith("000")


def test_volatility_clusters() -> None:
    """The size of moves is correlated over hours, their direction is not; tails are fat."""
    returns = np.diff(np.log(month("close")))
    sizes = np.abs(returns)
    for lag in (1, 10, 60):
        assert np.corrcoef(sizes[:-lag], sizes[lag:])[0, 1] > 0.05
    assert abs(np.corrcoef(returns[:-1], returns[1:])[0, 1]) < 0.05
    assert np.mean((returns - returns.mean()) ** 4) / returns.var() ** 2 > 5


def test_days_have_seasons() -> None:
    """New York's morning moves more than the hours before dawn."""
    sizes = np.abs(np.log(month("close") / month("open"))).reshape(-1, MINUTES_A_DAY)
    assert sizes[:, 14 * 60 : 16 * 60].mean() > 1.15 * sizes[:, 2 * 60 : 5 * 60].mean()


@pytest.mark.parametrize(("symbol", "least", "most"), [("BTCUSDT", 10_000, 300_000), ("ETHUSDT", 500, 20_000)])
def test_the_level_stays_plausible_for_decades(symbol: str, least: int, most: int) -> None:
    """The walk reverts: no day of fifty years strays from the symbol's order of magnitude."""
    generator = Generator((symbol,))
    opens = [float(generator.day(symbol, day).kline(0).open) for day in DAYS[::500]]
    assert min(opens) > least
    assert max(opens) < most


def test_history_begins_with_the_exchange() -> None:
    """2017-08-17 is there, the day before is not."""
    generator = Generator(("BTCUSDT",))
    assert datetime(2017, 8, 17, tzinfo=UTC).timestamp() * 1000 == generator.day("BTCUSDT", FIRST_DAY).open_times[0]
    assert len(generator.day("BTCUSDT", FIRST_DAY - 1)) == 0
