"""Which rows a klines question means."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.faults import Faults
from simulator.generator import Generator
from simulator.kline import MINUTE_MS
from simulator.kline_rows import KlinesRequest, select_rows
from simulator.market import Market
from tests.simulated import NOON_MS

HOUR_MS = 60 * MINUTE_MS


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(Generator(("BTCUSDT",)), ManualClock(NOON_MS + 30_000), Faults())


def ask(market: Market, **question: Any) -> list[Any]:
    return [json.loads(row) for row in select_rows(market, KlinesRequest("BTCUSDT", **question))]


def opens(rows: list[Any]) -> list[int]:
    return [row[0] for row in rows]


def test_without_bounds_the_newest_rows_end_with_the_open_candle(market: Market) -> None:
    """The newest row is the minute that is still open."""
    rows = ask(market, limit=3)
    assert opens(rows) == [NOON_MS - 2 * MINUTE_MS, NOON_MS - MINUTE_MS, NOON_MS]


def test_a_start_alone_gives_the_oldest_from_there(market: Market) -> None:
    """From the start on, capped."""
    start = NOON_MS - HOUR_MS + 1
    assert opens(ask(market, start_ms=start, limit=2)) == [NOON_MS - 59 * MINUTE_MS, NOON_MS - 58 * MINUTE_MS]


def test_an_end_alone_gives_the_newest_up_to_it(market: Market) -> None:
    """The row that opens at the end is included."""
    end = NOON_MS - HOUR_MS
    assert opens(ask(market, end_ms=end, limit=2)) == [end - MINUTE_MS, end]


def test_both_bounds_are_capped_from_the_start(market: Market) -> None:
    """From startTime, not from endTime."""
    start = NOON_MS - HOUR_MS
    assert opens(ask(market, start_ms=start, end_ms=NOON_MS, limit=2)) == [start, start + MINUTE_MS]


def test_the_default_limit_is_500(market: Market) -> None:
    """As the exchange's."""
    assert len(ask(market)) == 500


@pytest.mark.parametrize(
    "question",
    [
        {"start_ms": 1_700_000_000, "end_ms": 1_700_003_600},
        {"start_ms": 1_700_000_000},
        {"end_ms": 1_700_003_600},
        {"start_ms": NOON_MS + MINUTE_MS},
        {"start_ms": NOON_MS, "end_ms": NOON_MS - 1},
    ],
)
def test_seconds_the_future_and_crossed_bounds_find_nothing(market: Market, question: dict[str, int]) -> None:
    """An empty list, and no error."""
    assert ask(market, **question) == []


def test_out_of_range_bounds_are_clamped(market: Market) -> None:
    """From before the first minute to after now is everything."""
    assert opens(ask(market, start_ms=0, end_ms=10**17, limit=1)) == [1_502_928_000_000]


@given(
    st.integers(NOON_MS - 3 * 24 * HOUR_MS, NOON_MS + HOUR_MS),
    st.integers(0, 4000),
    st.lists(st.integers(1, 1000), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_any_paging_gives_the_rows_of_one_reading(market: Market, start: int, span: int, limits: list[int]) -> None:
    """Pages of any sizes, joined, are the same rows; each page goes on after the last row of the one before."""
    end = start + span * MINUTE_MS
    whole = ask(market, start_ms=start, end_ms=end, limit=10_000)
    paged: list[Any] = []
    at, turn = start, 0
    while page := ask(market, start_ms=at, end_ms=end, limit=limits[turn % len(limits)]):
        paged += page
        at, turn = page[-1][0] + MINUTE_MS, turn + 1
    assert paged == whole


@given(st.integers(NOON_MS - 3 * 24 * HOUR_MS, NOON_MS), st.integers(1, 1000))
@settings(max_examples=25, deadline=None)
def test_backwards_and_forwards_agree(market: Market, end: int, limit: int) -> None:
    """What an end alone finds is what both bounds find."""
    rows = ask(market, end_ms=end, limit=limit)
    assert ask(market, start_ms=rows[0][0], end_ms=end, limit=limit) == rows


@pytest.mark.parametrize(("minutes", "limit"), [(5, 20), (60, 10), (1440, 3)])
def test_longer_candles_sum_their_minutes(market: Market, minutes: int, limit: int) -> None:
    """First open, last close, the extremes and the sums; the newest is open too."""
    step_ms = minutes * MINUTE_MS
    rows = ask(market, step_ms=step_ms, limit=limit)
    assert rows[-1][0] == NOON_MS - NOON_MS % step_ms
    row = rows[-2]
    parts = ask(market, start_ms=row[0], end_ms=row[0] + step_ms - 1, limit=minutes)
    assert len(parts) == minutes
    assert (row[1], row[4], row[6]) == (parts[0][1], parts[-1][4], row[0] + step_ms - 1)
    assert float(row[2]) == max(float(part[2]) for part in parts)
    assert float(row[3]) == min(float(part[3]) for part in parts)
    assert float(row[5]) == pytest.approx(sum(float(part[5]) for part in parts), rel=1e-12)
    assert row[8] == sum(part[8] for part in parts)


def test_a_longer_candle_belongs_to_its_open(market: Market) -> None:
    """One that opened before the start is left out, one that opened before the end is whole."""
    start = NOON_MS - 4 * HOUR_MS
    assert opens(ask(market, step_ms=HOUR_MS, start_ms=start + 1, end_ms=start + HOUR_MS + 1)) == [start + HOUR_MS]
