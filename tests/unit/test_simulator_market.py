"""What the market shows at an instant, and what faults in its data change."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.instant import from_milliseconds, to_milliseconds, to_text
from simulator.clock import ManualClock
from simulator.faults import Faults
from simulator.generator import Generator
from simulator.kline import Day
from simulator.kline_rows import KlinesRequest, select_rows
from simulator.market import Market
from simulator.ticker import compute_last_day, find_last_price
from tests.simulated import MINUTE_MS, NOON_MS

GENERATOR = Generator(("BTCUSDT", "ETHUSDT"))
LAST_MS = NOON_MS - MINUTE_MS  # the minute that closes at noon


def market_at(now_ms: int, faults: Iterable[str] = ()) -> Market:
    return Market(GENERATOR, ManualClock(now_ms), Faults(faults))


def newest(market: Market, limit: int = 2) -> dict[int, Any]:
    return {row[0]: row for row in map(json.loads, select_rows(market, KlinesRequest("BTCUSDT", limit=limit)))}


FINAL = newest(market_at(NOON_MS + 60 * MINUTE_MS), 100)


def test_a_minute_is_open_until_its_last_millisecond() -> None:
    """One millisecond before the end it is still growing; at the end it is final."""
    assert newest(market_at(NOON_MS - 1))[LAST_MS] != FINAL[LAST_MS]
    assert newest(market_at(NOON_MS))[LAST_MS] == FINAL[LAST_MS]


def test_minutes_after_now_do_not_exist() -> None:
    """The newest row is the minute of now."""
    assert max(newest(market_at(NOON_MS + 1))) == NOON_MS


def test_a_late_row_is_absent_until_it_is_there() -> None:
    """The minute that has just closed is missing from REST; the open one is not."""
    faults = ["late_row,seconds=3"]
    assert list(newest(market_at(NOON_MS + 2999, faults))) == [LAST_MS - MINUTE_MS, NOON_MS]
    assert newest(market_at(NOON_MS + 3000, faults))[LAST_MS] == FINAL[LAST_MS]


def test_a_stale_row_still_shows_the_open_candle() -> None:
    """REST answers as some seconds ago, so that a closed minute is not final yet."""
    faults = ["stale_row,seconds=3"]
    stale = newest(market_at(NOON_MS + 2999, faults))
    assert NOON_MS not in stale
    assert stale[LAST_MS] != FINAL[LAST_MS]
    assert newest(market_at(NOON_MS + 3000, faults))[LAST_MS] == FINAL[LAST_MS]


def test_a_correction_changes_a_closed_minute_later() -> None:
    """The first version holds until its time is over, in REST and in the stream."""
    faults = ["correction,seconds=30"]
    first = newest(market_at(NOON_MS + 29_999, faults))[LAST_MS]
    assert first != FINAL[LAST_MS]
    assert newest(market_at(NOON_MS + 1, faults))[LAST_MS] == first
    assert newest(market_at(NOON_MS + 30_000, faults))[LAST_MS] == FINAL[LAST_MS]
    pushed = market_at(NOON_MS, faults).kline_at("BTCUSDT", LAST_MS, NOON_MS)
    assert pushed is not None
    assert json.loads(pushed.to_json()) == first


def test_a_hole_has_no_minutes_anywhere() -> None:
    """Neither in REST nor for the stream nor in archives; the other symbol keeps them."""
    market = market_at(NOON_MS + 1, ["hole,symbol=BTCUSDT,start=2026-01-05T11:50Z,end=2026-01-05T12:00Z"])
    assert list(newest(market)) == [NOON_MS - 11 * MINUTE_MS, NOON_MS]
    assert market.kline_at("BTCUSDT", LAST_MS, NOON_MS) is None
    assert market.kline_at("ETHUSDT", LAST_MS, NOON_MS) is not None
    start_ms = NOON_MS - 60 * MINUTE_MS
    assert sum(len(page.indices) for page in market.published("BTCUSDT", start_ms, NOON_MS)) == 50


class CountingSource:
    """The generator, and which days it was asked to make."""

    symbols = GENERATOR.symbols
    days = GENERATOR.days

    def __init__(self) -> None:
        self.made: list[int] = []

    def day(self, symbol: str, number: int) -> Day:
        """The generator's day."""
        self.made.append(number)
        return GENERATOR.day(symbol, number)


def test_the_days_of_a_long_hole_are_not_made() -> None:
    """A question that begins years before its first minute is answered at once."""
    source = CountingSource()
    faults = Faults(["hole,start=2018-01-01T12:00Z,end=2026-01-03T18:00Z"])
    market = Market(source, ManualClock(NOON_MS), faults)
    start_ms = to_milliseconds(datetime(2018, 1, 1, 6, tzinfo=UTC))
    rows = [json.loads(row)[0] for page in market.pages("BTCUSDT", start_ms, NOON_MS) for row in page.rows()]
    assert len(rows) == 6 * 60 + (6 + 24 + 12) * 60 + 1
    assert len(source.made) == 4


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90), st.sampled_from(["BTCUSDT", "ETH*", "*"]))))
def test_holes_take_out_just_the_minutes_they_cover(bounds: list[tuple[int, int, str]]) -> None:
    """However they overlap, end before they begin, or are another symbol's."""
    first_ms = NOON_MS - 90 * MINUTE_MS

    def at(minute: int) -> str:
        return to_text(from_milliseconds(first_ms + minute * MINUTE_MS))

    holes = [f"hole,symbol={symbol},start={at(start)},end={at(end)}" for start, end, symbol in bounds]
    pages = market_at(NOON_MS, holes).published("BTCUSDT", first_ms, NOON_MS)
    seen = [json.loads(row)[0] for page in pages for row in page.rows()]
    gone = {minute for start, end, symbol in bounds if symbol != "ETH*" for minute in range(start, end)}
    assert seen == [first_ms + minute * MINUTE_MS for minute in range(90) if minute not in gone]


@pytest.mark.parametrize("seconds", [-90, 90])
def test_an_offset_moves_the_exchanges_time(seconds: int) -> None:
    """Ahead or behind; which minutes are closed moves with it."""
    market = market_at(NOON_MS, [f"clock_offset,seconds={seconds}"])
    assert market.now_ms() == NOON_MS + seconds * 1000
    assert max(newest(market)) == market.now_ms() // MINUTE_MS * MINUTE_MS


def test_the_last_price_is_the_open_candles() -> None:
    """What trades now."""
    market = market_at(NOON_MS + 20_000)
    assert find_last_price(market, "BTCUSDT") == {"symbol": "BTCUSDT", "price": newest(market)[NOON_MS][4]}


def test_the_last_day_sums_24_hours() -> None:
    """The extremes and the sums of the rows of the window."""
    market = market_at(NOON_MS)
    ticker = compute_last_day(market, "BTCUSDT")
    assert ticker is not None
    rows = list(newest(market, 1440).values())
    assert float(ticker["highPrice"]) == max(float(row[2]) for row in rows)
    assert float(ticker["volume"]) == pytest.approx(sum(float(row[5]) for row in rows[1:]), rel=0.01)
    assert ticker["lastPrice"] == rows[-1][4]
    assert ticker["lastId"] - ticker["firstId"] + 1 == ticker["count"]


def test_before_the_first_minute_there_is_no_price() -> None:
    """Nothing is invented."""
    market = market_at(1_500_000_000_000)
    assert find_last_price(market, "BTCUSDT") is None
    assert compute_last_day(market, "BTCUSDT") is None
