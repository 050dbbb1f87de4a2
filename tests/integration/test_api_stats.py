"""`/price/stats` against a plain calculation over the same minutes."""

import asyncio
import json
import math
import statistics
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest

from shared.instant import MINUTE
from tests.integration.api_server import START, SYMBOL, Tick, at, make_ticks, serving, store, text
from tests.postgres import Database

# Three days and a bit, with gaps at an hour's edge, within one, and over several.
COUNT = 3 * 1440 + 500
MISSING = [0, 1, 59, 60, 61, *range(700, 710), *range(2_000, 2_200), COUNT - 1]
TICKS = make_ticks(COUNT, seed=5, missing=MISSING)

EXACT = ("first", "last", "min", "max", "change", "volume", "quote_volume")


async def get(client: httpx.AsyncClient, **parameters: object) -> Any:
    """The answer's JSON with exact numbers."""
    response = await client.get("/price/stats", params={name: str(value) for name, value in parameters.items()})
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal)


RANGES = [
    (0, COUNT),
    (0, 1),
    (2, 3),
    (10, 40),
    (30, 90),
    (58, 62),
    (60, 120),
    (61, 181),
    (100, 1_500),
    (1_440, 2_880),
    (1_439, 2_881),
    (1_990, 2_210),
    (2_000, 2_200),
    (17, COUNT + 300),
    (COUNT - 10, COUNT + 10),
]


async def test_stats_agree_with_a_plain_calculation(database: Database) -> None:
    """Whatever the range's edges cut through: minutes, hours, days, gaps or the present."""
    await store(database.owner_url, TICKS, since=START, now=START + timedelta(minutes=COUNT))
    async with serving(database.api_url) as client:
        for first, end in RANGES:
            answer = await get(client, start=at(first), end=at(end))
            chosen = [tick for tick in TICKS if first <= _offset(tick) < end]
            expected = _reference(chosen)
            assert (answer["start"], answer["end"]) == (at(first), at(end))
            assert answer["count"] == len(chosen)
            assert answer["expected"] == min(end, COUNT) - first
            assert float(answer["completeness"]) == pytest.approx(len(chosen) / (min(end, COUNT) - first))
            assert list(answer)[6:] == list(expected)
            for name, value in expected.items():
                _assert_same(f"{name} of {first} to {end}", answer[name], value)


async def test_the_default_is_the_last_24_hours(database: Database) -> None:
    """Up to the newest closed minute; `window` says how much else."""
    await store(database.owner_url, TICKS, now=START + timedelta(minutes=COUNT, seconds=31))
    async with serving(database.api_url) as client:
        day = await get(client)
        hour = await get(client, window="1h")
    assert (day["start"], day["end"], day["expected"]) == (at(COUNT - 1440), at(COUNT), 1440)
    assert (hour["start"], hour["end"], hour["count"]) == (at(COUNT - 60), at(COUNT), 59)


async def test_an_empty_range_has_nulls(database: Database) -> None:
    """And a count of zero."""
    await store(database.owner_url, TICKS, since=START)
    async with serving(database.api_url) as client:
        answer = await get(client, start=at(2_010), end=at(2_100))
    assert answer.pop("percentiles") == {"5": None, "25": None, "75": None, "95": None}
    assert (answer.pop("count"), answer.pop("expected"), answer.pop("completeness")) == (0, 90, 0)
    for name in ("symbol", "start", "end"):
        answer.pop(name)
    assert set(answer.values()) == {None}


async def test_nothing_is_expected_of_the_future(database: Database) -> None:
    """Then the completeness is null."""
    await store(database.owner_url, TICKS)
    async with serving(database.api_url) as client:
        answer = await get(client, start=at(COUNT + 10), end=at(COUNT + 20))
    assert (answer["count"], answer["expected"], answer["completeness"]) == (0, 0, None)


async def test_minutes_without_trades_have_no_vwap(database: Database) -> None:
    """A halt shows as flat minutes without volume; dividing by it is no error."""
    await store(database.owner_url, make_ticks(72, flat=True))
    async with serving(database.api_url) as client:
        answer = await get(client, start=at(0), end=at(72))
    assert answer["vwap"] is None
    assert (answer["volume"], answer["std"], answer["realised_volatility"], answer["max_drawdown"]) == (0, 0, 0, 0)


def _offset(tick: Tick) -> int:
    return (tick.minute - START) // timedelta(minutes=1)


def _reference(ticks: list[Tick]) -> dict[str, Any]:
    if not ticks:
        names = "first last min min_at max max_at mean median std percentiles change change_percent vwap volume"
        empty = dict.fromkeys([*names.split(), "quote_volume", "trades", "realised_volatility", "max_drawdown"])
        return empty | {"percentiles": dict.fromkeys(("5", "25", "75", "95"))}
    closes = [tick.close for tick in ticks]
    low, high = min(tick.low for tick in ticks), max(tick.high for tick in ticks)
    peak, drawdown = closes[0], Fraction(0)
    for close in closes:
        peak = max(peak, close)
        drawdown = min(drawdown, Fraction(close) / Fraction(peak) - 1)
    squares = [
        math.log(float(tick.close) / float(before.close)) ** 2
        for before, tick in pairwise(ticks)
        if tick.minute - before.minute == timedelta(minutes=1)
    ]
    volume, quote_volume = sum(tick.volume for tick in ticks), sum(tick.quote_volume for tick in ticks)
    change = closes[-1] - closes[0]
    return {
        "first": closes[0],
        "last": closes[-1],
        "min": low,
        "min_at": text(next(tick.minute for tick in ticks if tick.low == low)),
        "max": high,
        "max_at": text(next(tick.minute for tick in ticks if tick.high == high)),
        "mean": float(statistics.fmean(map(float, closes))),
        "median": _percentile(closes, 50),
        "std": float(statistics.stdev(closes)) if len(closes) > 1 else None,
        "percentiles": {str(percent): _percentile(closes, percent) for percent in (5, 25, 75, 95)},
        "change": change,
        "change_percent": float(change / closes[0] * 100),
        "vwap": float(quote_volume / volume) if volume else None,
        "volume": volume,
        "quote_volume": quote_volume,
        "trades": sum(tick.trades for tick in ticks),
        "realised_volatility": math.sqrt(math.fsum(squares)),
        "max_drawdown": float(drawdown),
    }


def _percentile(closes: list[Decimal], percent: int) -> Decimal:
    ordered = sorted(closes)
    whole, hundredths = divmod((len(closes) - 1) * percent, 100)
    above = ordered[min(whole + 1, len(closes) - 1)]
    return ordered[whole] + (above - ordered[whole]) * hundredths / 100


def _assert_same(what: str, found: Any, expected: Any) -> None:
    if isinstance(expected, float):
        assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12), what
    else:
        # Decimals are compared exactly.
        assert found == expected, what


async def test_all_of_an_answer_is_of_one_moment(database: Database) -> None:
    """A minute that is corrected while it is read is old throughout or new throughout."""
    old, new = make_ticks(1, seed=1), make_ticks(1, seed=2)
    await store(database.owner_url, old)
    connection = await asyncpg.connect(database.owner_url)
    stop = asyncio.Event()

    async def correct() -> None:
        while not stop.is_set():
            for [tick] in (new, old):
                async with connection.transaction():
                    await connection.execute("UPDATE ticks SET close = $1, high = $2", tick.close, tick.high + 100)
                    await connection.execute("SELECT refresh_rollups($1, $2, $3)", SYMBOL, START, START + MINUTE)

    async with serving(database.api_url) as client, asyncio.TaskGroup() as group:
        group.create_task(correct())
        seen = set()
        for _ in range(100):
            answer = await get(client, start=at(0), end=at(60))
            seen.add((answer["first"], answer["median"]))
        stop.set()
    await connection.close()
    assert seen == {(tick.close, tick.close) for [tick] in (new, old)}
