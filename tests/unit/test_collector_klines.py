"""Rows of klines: what is kept, what is refused and why."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.klines import KlinePage, Refusal, arrange_klines, log_refusals
from collector.sources.binance.klines import parse_klines
from shared.instant import MINUTE, floor_minute, from_milliseconds
from shared.runs import Run
from tests.klines import kline, row

START_MS = 1_700_000_040_000
START = from_milliseconds(START_MS)
WANTED = Run(START, START + 100 * MINUTE)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1", "1e400", "NaN", "-1", "0", "inf", "1_0", "½", "1e-400", "9" * 30]),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


def spoilt_rows() -> st.SearchStrategy[Any]:
    """Rows that were good until one field was replaced by anything."""
    good = st.integers(0, 99).map(lambda minute: row(START + minute * MINUTE))
    return st.tuples(good, st.integers(0, 10), json_values).map(
        lambda parts: [*parts[0][: parts[1]], parts[2], *parts[0][parts[1] + 1 :]]
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": None}, "open time is not a whole number"),
        ({"time": START_MS + 0.5}, "open time is not a whole number"),
        ({"time": True}, "open time is not a whole number"),
        ({"time": "soon"}, "open time is not a whole number"),
        ({"time": START_MS + 14_800}, "minute is not on the grid"),
        ({"time": 60_000 * 10**9}, "open time is beyond any date"),
        ({"time": -60_000 * 10**9}, "open time is beyond any date"),
        ({"open": 100.5}, "open is not decimal text"),
        ({"high": {"price": "1"}}, "high is not decimal text"),
        ({"low": None}, "low is not decimal text"),
        ({"close": "NaN"}, "close is not finite"),
        ({"high": "Infinity"}, "high is not finite"),
        ({"close": "ten"}, "close is not a number"),
        ({"close": ""}, "close is not a number"),
        ({"low": "-1"}, "low is negative"),
        ({"low": "0"}, "low is zero"),
        ({"volume": "-1.00000000"}, "volume is negative"),
        ({"volume": "1e300"}, "volume is not finite"),
        ({"quote": 1}, "quote volume is not decimal text"),
        ({"taker_base": "nan"}, "taker base volume is not finite"),
        ({"taker_quote": "-0.1"}, "taker quote volume is negative"),
        ({"trades": -1}, "trades is not a count"),
        ({"trades": 1.5}, "trades is not a count"),
        ({"trades": "many"}, "trades is not a count"),
        ({"trades": 10**15}, "trades is not a count"),
        ({"high": "100", "low": "101"}, "high below low"),
        ({"open": "99"}, "open or close outside low to high"),
        ({"close": "102"}, "open or close outside low to high"),
    ],
)
def test_bad_row_is_refused_with_its_reason_and_the_rest_kept(changes: dict[str, Any], reason: str) -> None:
    """Each kind has its own sentence; neighbours are not touched."""
    rows = [row(START), row(START + MINUTE, **changes), row(START + 2 * MINUTE)]
    page = parse_klines(rows)
    assert [found.minute for found in page.klines] == [START, START + 2 * MINUTE]
    assert [refusal.reason for refusal in page.refused] == [reason]


@pytest.mark.parametrize("bad", [None, 1, "row", {"openTime": START_MS}, True])
def test_what_is_no_row_is_refused(bad: object) -> None:
    """A page can hold anything."""
    assert parse_klines([bad]).refused == [Refusal("not a row", repr(bad))]


@pytest.mark.parametrize("length", [0, 1, 10])
def test_short_row_is_refused(length: int) -> None:
    """Eleven fields are needed; the twelfth has no meaning."""
    assert parse_klines([row(START)[:length]]).refused[0].reason == "missing fields"
    assert len(parse_klines([row(START)[:11]]).klines) == 1


def test_values_stay_the_text_that_came() -> None:
    """Nothing is rounded on the way."""
    exact = "12345678901234567890.12345678901234567890"
    page = parse_klines([row(START, exact, volume="0.00000000", trades="12")])
    assert page.klines == [kline(START, exact, volume="0.00000000", trades=12)]


def test_flat_minute_without_trades_is_a_minute() -> None:
    """No trade is another thing than no data."""
    flat = row(START, volume="0", quote="0", trades=0, taker_base="0", taker_quote="0")
    assert len(parse_klines([flat]).klines) == 1


def test_order_is_by_minute_and_of_repeats_the_last_wins() -> None:
    """Whatever the order they come in; each repeat is counted."""
    times = [3, 1, 2, 3, 1]
    klines = [kline(START + minute * MINUTE, str(100 + place)) for place, minute in enumerate(times)]
    page = arrange_klines(KlinePage(klines, []), WANTED)
    assert [found.minute for found in page.klines] == [START + minute * MINUTE for minute in (1, 2, 3)]
    assert [found.close for found in page.klines] == ["104", "102", "103"]
    assert [refusal.reason for refusal in page.refused] == ["repeated minute"] * 2


def test_range_is_start_inclusive_and_end_exclusive() -> None:
    """What is at or after the end is open or not asked for, and no fault; what is before was never asked for."""
    klines = [kline(START + minute * MINUTE) for minute in (-1, 0, 99, 100, 101)]
    page = arrange_klines(KlinePage(klines, []), WANTED)
    assert [found.minute for found in page.klines] == [START, START + 99 * MINUTE]
    assert [refusal.reason for refusal in page.refused] == ["before the range asked for"]


def test_microseconds_are_read_and_must_be_on_the_grid_too() -> None:
    """Archives from 2025 on count so."""
    good, off = row(START, time=START_MS * 1000), row(START, time=START_MS * 1000 + 1)
    page = parse_klines([good, off], ticks_per_ms=1000)
    assert [found.minute for found in page.klines] == [START]
    assert page.refused[0].reason == "minute is not on the grid"


@given(st.lists(st.integers(0, 99), unique=True, max_size=20), st.lists(json_values | spoilt_rows(), max_size=10))
def test_good_rows_are_kept_exactly_whatever_else_is_in_the_page(minutes: list[int], garbage: list[Any]) -> None:
    """The law of the page: nothing raises, and garbage costs no good row (of a repeated minute the last wins)."""
    good = [row(START + minute * MINUTE, f"{minute + 1}.00") for minute in minutes]
    mixed = [item for pair in zip(garbage, good, strict=False) for item in pair]
    mixed += garbage[len(good) :] + good[len(garbage) :]
    page = arrange_klines(parse_klines([*mixed, *good]), WANTED)
    found = {one.minute: one for one in page.klines}
    assert {START + minute * MINUTE for minute in minutes} <= found.keys()
    for minute in minutes:
        assert found[START + minute * MINUTE] == kline(START + minute * MINUTE, f"{minute + 1}.00")
    assert [one.minute for one in page.klines] == sorted(found)
    for one in page.klines:
        prices = [float(text) for text in (one.low, one.open, one.close, one.high)]
        assert prices[0] == min(prices) > 0
        assert prices[3] == max(prices) < math.inf
        assert one.minute == floor_minute(one.minute)
        assert WANTED.start <= one.minute < WANTED.end
    log_refusals(page.refused, "BTCUSDT", "test")


@given(json_values | spoilt_rows())
def test_every_refusal_says_what_is_wrong(garbage: Any) -> None:
    """The slow naming of a fault never fails itself, and never says something untrue about a good row."""
    page = parse_klines([garbage])
    assert len(page.klines) + len(page.refused) == 1
    for refusal in page.refused:
        assert refusal.reason
        assert len(refusal.row) <= 200
