"""`/price/history`: which rows come, in which order, with which numbers, and what is said to be missing."""

import json
import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from api.intervals import INTERVALS, ONE_DAY, ONE_MINUTE
from shared.database.connection import DriverConnection
from shared.feature_table import ALL_FEATURES, DEFAULT_FEATURES
from shared.instant import MINUTE
from tests.collecting import connected
from tests.integration.api_server import (
    START,
    SYMBOL,
    Tick,
    add_ticks,
    at,
    beat,
    make_ticks,
    serving,
    store,
    text,
    with_source,
)
from tests.postgres import Database, Server

# Most only read, from one server.
pytestmark = pytest.mark.asyncio(loop_scope="session")

# Three hours are missing a run of 7 minutes, a run of 80 and a single one.
COUNT = 60 * 30
MISSING = [*range(100, 107), *range(400, 480), 1000]
TICKS = make_ticks(COUNT, missing=MISSING)
WITHIN_A_DAY = [each for each in INTERVALS.values() if each not in {ONE_MINUTE, ONE_DAY}]
ABSENT = (START + timedelta(minutes=400), START + timedelta(minutes=470))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(postgres_server: Server) -> AsyncIterator[tuple[DriverConnection, httpx.AsyncClient]]:
    """The record, and the API over it."""
    async with postgres_server.cloned(postgres_server.template) as database:
        await store(database.owner_url, TICKS, absences=[ABSENT])
        async with connected(database.owner_url) as owner, serving(database.api_url) as client:
            yield owner, client


@pytest_asyncio.fixture(loop_scope="session")
async def client(served: tuple[DriverConnection, httpx.AsyncClient]) -> httpx.AsyncClient:
    """The API at the end of the record, for a test that only reads."""
    owner, client = served
    await beat(owner, START + COUNT * MINUTE)
    return client


@pytest_asyncio.fixture(loop_scope="session")
async def own_client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a record that the test may change."""
    await store(database.owner_url, TICKS, absences=[ABSENT])
    async with serving(database.api_url) as client:
        yield client


async def get(client: httpx.AsyncClient, **parameters: object) -> Any:
    """The answer's JSON with exact numbers."""
    response = await client.get("/price/history", params={name: str(value) for name, value in parameters.items()})
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal, parse_int=int)


async def walk(client: httpx.AsyncClient, **parameters: object) -> list[Any]:
    """Every page, by following cursors."""
    pages = [await get(client, **parameters)]
    while pages[-1]["next_cursor"]:
        pages.append(await get(client, **parameters, cursor=pages[-1]["next_cursor"]))
        assert len(pages) < 1_000
    return pages


def plain_row(tick: Tick) -> dict[str, object]:
    """What a row without features has."""
    return {
        "timestamp": text(tick.minute),
        "price": tick.close,
        "open": tick.open,
        "high": tick.high,
        "low": tick.low,
        "volume": tick.volume,
        "trades": tick.trades,
        "source": tick.source,
        "created_at": "2024-06-01T12:00:00.123456Z",
    }


async def test_rows_carry_the_exact_decimals(client: httpx.AsyncClient) -> None:
    """Every number is the stored one, digit by digit."""
    answer = await get(client, start=at(0), limit=1_000, features="none")
    assert answer["data"] == [plain_row(tick) for tick in TICKS[:1_000]]
    assert answer["count"] == 1_000
    assert answer["symbol"] == SYMBOL
    assert answer["interval"] == "1m"
    assert (answer["start"], answer["end"]) == (at(0), at(COUNT))


async def test_without_a_start_the_newest_rows_come(client: httpx.AsyncClient) -> None:
    """Oldest first all the same, and there is no page after them."""
    answer = await get(client, features="none")
    assert answer["data"] == [plain_row(tick) for tick in TICKS[-100:]]
    assert answer["start"] == text(TICKS[-100].minute)
    assert answer["next_cursor"] is None


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1_000, 333, 97])
async def test_following_cursors_gives_every_row_once(client: httpx.AsyncClient, order: str, limit: int) -> None:
    """In both orders; the gaps of all pages are the gaps of the range."""
    pages = await walk(client, start=at(0), end=at(COUNT), order=order, limit=limit, features="none")
    rows = [row["timestamp"] for page in pages for row in page["data"]]
    expected = [text(tick.minute) for tick in TICKS]
    assert rows == (expected if order == "asc" else expected[::-1])
    assert all(page["count"] == len(page["data"]) == limit for page in pages[:-1])
    assert {(page["start"], page["end"]) for page in pages} == {(at(0), at(COUNT))}
    named = {
        minute
        for page in pages
        for gap in page["gaps"]
        for minute in range(
            (_minutes(gap["start"])),
            (_minutes(gap["end"])),
        )
    }
    assert named == set(MISSING)
    assert sum(_minutes(gap["end"]) - _minutes(gap["start"]) for page in pages for gap in page["gaps"]) == len(MISSING)


async def test_pages_stay_whole_while_minutes_arrive(own_client: httpx.AsyncClient, database: Database) -> None:
    """A walk sees the range as it was at its first page, and no row twice."""
    first = await get(own_client, start="24h", order="desc", limit=500, features="none")
    connection = await asyncpg.connect(database.owner_url)
    await add_ticks(connection, make_ticks(3, start=START + timedelta(minutes=COUNT), seed=9))
    await connection.close()
    rows = [row["timestamp"] for row in first["data"]]
    cursor = first["next_cursor"]
    while cursor:
        page = await get(own_client, cursor=cursor, limit=500, features="none")
        rows += [row["timestamp"] for row in page["data"]]
        cursor = page["next_cursor"]
    day = [text(tick.minute) for tick in TICKS if tick.minute >= START + timedelta(minutes=COUNT - 1440)]
    assert rows == day[::-1]


async def test_a_descending_walk_without_a_start_reaches_the_first_row(client: httpx.AsyncClient) -> None:
    """It ends where the record begins."""
    pages = await walk(client, order="desc", limit=700, features="none")
    assert [row["timestamp"] for page in pages for row in page["data"]] == [text(tick.minute) for tick in TICKS[::-1]]
    assert pages[-1]["start"] == at(0)


async def test_gaps_are_named_with_their_causes(client: httpx.AsyncClient) -> None:
    """What the exchange has not, and what is ours to fetch."""
    answer = await get(client, start=at(0), limit=10_000, features="none")
    assert answer["gaps"] == [
        {"start": at(100), "end": at(107), "cause": "not_collected"},
        {"start": at(400), "end": at(470), "cause": "source_absent"},
        {"start": at(470), "end": at(480), "cause": "not_collected"},
        {"start": at(1000), "end": at(1001), "cause": "not_collected"},
    ]


async def test_a_page_names_gaps_up_to_its_last_row_only(client: httpx.AsyncClient) -> None:
    """What lies between two pages is on the second."""
    first = await get(client, start=at(0), limit=100, features="none")
    assert first["gaps"] == []
    second = await get(client, start=at(0), limit=100, features="none", cursor=first["next_cursor"])
    assert second["gaps"] == [{"start": at(100), "end": at(107), "cause": "not_collected"}]


async def test_a_range_in_a_gap_is_empty(client: httpx.AsyncClient) -> None:
    """Nothing is made up for it."""
    answer = await get(client, start=at(410), end=at(420))
    assert (answer["count"], answer["data"], answer["next_cursor"]) == (0, [], None)
    assert answer["gaps"] == [{"start": at(410), "end": at(420), "cause": "source_absent"}]


async def test_the_future_is_not_missing(client: httpx.AsyncClient) -> None:
    """Minutes that are not past yet are no gap."""
    answer = await get(client, start=at(COUNT - 2), end=at(COUNT + 5_000), features="none")
    assert answer["count"] == 2
    assert answer["gaps"] == []


@pytest.mark.parametrize("features", ["default", "all"])
async def test_features_do_not_depend_on_the_page(client: httpx.AsyncClient, features: str) -> None:
    """The same row has the same features (to 1e-9) on a short page, a long one, and in either order."""
    whole = await get(client, start=at(0), limit=10_000, features=features)
    by_time = {row["timestamp"]: row for row in whole["data"]}
    assert len(by_time) == len(TICKS)
    for order in ("asc", "desc"):
        for page in await walk(client, start=at(300), end=at(1_100), order=order, limit=190, features=features):
            for row in page["data"]:
                same = by_time[row["timestamp"]]
                assert list(row) == list(same)
                assert _numbers(row) == pytest.approx(_numbers(same), rel=1e-9, abs=1e-9, nan_ok=True)


async def test_the_first_row_asked_for_has_its_features(client: httpx.AsyncClient) -> None:
    """The window before the start is read too; nothing is computed across a gap."""
    [row] = (await get(client, start=at(90), limit=1))["data"]
    tick = TICKS[90]
    assert float(row["return_60"]) == pytest.approx(float(tick.close / TICKS[30].close - 1))
    assert float(row["sma_60"]) == pytest.approx(float(sum(each.close for each in TICKS[31:91]) / 60))
    assert float(row["price_range"]) == pytest.approx(float(tick.high - tick.low))
    assert (row["hour"], row["day_of_week"]) == (1, 4)
    [after_gap] = (await get(client, start=at(107), limit=1))["data"]
    assert after_gap["return_1"] is None
    assert after_gap["rsi_14"] is None


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("layout", ["rows", "columns"])
async def test_a_feature_that_is_a_decimal_is_exact(client: httpx.AsyncClient, interval: str, layout: str) -> None:
    """A difference of prices has no more digits than they have."""
    query = {"start": at(0), "limit": 1_000, "interval": interval, "order": "desc", "layout": layout}
    data = (await get(client, **query, features="sma_15,price_range,hour"))["data"]
    rows = data if layout == "rows" else [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    assert rows
    assert [row["price_range"] for row in rows] == [row["high"] - row["low"] for row in rows]
    assert list(rows[0])[-3:] == ["sma_15", "price_range", "hour"]


async def test_features_can_be_chosen(client: httpx.AsyncClient) -> None:
    """By set or by name, in the order asked for."""
    for asked, names in (
        ("default", DEFAULT_FEATURES),
        ("all", ALL_FEATURES),
        ("none", ()),
        ("rsi_14,sma_15", ("rsi_14", "sma_15")),
    ):
        [row] = (await get(client, limit=1, features=asked))["data"]
        assert tuple(row)[9:] == names


async def test_columns_hold_what_rows_hold(client: httpx.AsyncClient) -> None:
    """The layout changes nothing else."""
    rows = await get(client, start=at(90), limit=50)
    columns = await get(client, start=at(90), limit=50, layout="columns")
    assert [
        dict(zip(columns["data"], row, strict=True)) for row in zip(*columns["data"].values(), strict=True)
    ] == rows["data"]
    assert {name: rows[name] for name in rows if name != "data"} == {
        name: columns[name] for name in columns if name != "data"
    }
    empty = await get(client, start=at(410), end=at(420), layout="columns")
    assert list(empty["data"]) == list(columns["data"])
    assert set(map(tuple, empty["data"].values())) == {()}


@pytest.mark.parametrize(("interval", "minutes"), [(each.name, each.minutes) for each in WITHIN_A_DAY])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_bars_are_made_of_their_minutes(
    client: httpx.AsyncClient, interval: str, minutes: int, order: str
) -> None:
    """Of those that are there; a bar without any is not there either, nor is one that is still growing."""
    pages = await walk(client, start=at(0), end=at(COUNT), interval=interval, order=order, limit=13, features="none")
    bars = [row for page in pages for row in page["data"]]
    expected = _bars(TICKS, minutes)
    assert bars == (expected if order == "asc" else expected[::-1])


async def test_only_finished_bars_are_served(own_client: httpx.AsyncClient, database: Database) -> None:
    """The bar that is still growing is not there, and its minutes are not missing."""
    connection = await asyncpg.connect(database.owner_url)
    await add_ticks(connection, make_ticks(20, start=START + timedelta(minutes=COUNT), seed=9))
    await connection.close()
    answer = await get(own_client, interval="1d", start=at(0), features="none")
    assert [row["timestamp"] for row in answer["data"]] == [at(0)]
    answer = await get(own_client, interval="30m", limit=1, features="none", end=at(COUNT + 60))
    assert answer["data"][0]["timestamp"] == at(COUNT - 30)


async def test_a_bar_with_missing_minutes_names_them(client: httpx.AsyncClient) -> None:
    """It is made from what there is."""
    answer = await get(client, start=at(60), end=at(120), interval="1h", features="none")
    assert answer["count"] == 1
    assert answer["gaps"] == [{"start": at(100), "end": at(107), "cause": "not_collected"}]


async def test_bars_have_features_of_their_own_interval(client: httpx.AsyncClient) -> None:
    """A window counts bars; a missing bar breaks it, a bar with a missing minute does not."""
    rows = (await get(client, start=at(0), interval="5m", limit=10_000))["data"]
    for before, row in pairwise(rows):
        if _minutes(row["timestamp"]) - _minutes(before["timestamp"]) == 5:
            assert float(row["return_1"]) == pytest.approx(float(row["price"] / before["price"] - 1))
        else:
            assert row["return_1"] is None


async def test_several_sources_are_mixed_in_a_bar(database: Database) -> None:
    """And each minute keeps its own, whatever is in its name."""
    odd = 'a "b", \\ c,\n100 %'
    ticks = [*TICKS[:30], *with_source(TICKS[30:60], odd)]
    await store(database.owner_url, ticks)
    async with serving(database.api_url) as client:
        minutes = await get(client, start=at(29), end=at(31), features="none")
        assert [row["source"] for row in minutes["data"]] == ["binance", odd]
        columns = await get(client, start=at(29), end=at(31), features="none", layout="columns")
        assert columns["data"]["source"] == ["binance", odd]
        hours = await get(client, start=at(0), end=at(60), features="none", interval="1h")
        assert [row["source"] for row in hours["data"]] == ["mixed"]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"interval": "5m"}, "interval"),
        ({"order": "desc"}, "order"),
        ({"symbol": "ETHUSDT"}, "symbol"),
        ({"start": at(1)}, "start"),
        ({"end": at(99)}, "end"),
    ],
)
async def test_a_cursor_of_another_walk_is_refused(
    client: httpx.AsyncClient, changed: dict[str, str], name: str
) -> None:
    """The sentence names the parameter that differs."""
    parameters = {"start": at(0), "limit": "10", "features": "none"}
    first = (await client.get("/price/history", params=parameters)).json()
    response = await client.get("/price/history", params=parameters | changed | {"cursor": first["next_cursor"]})
    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == name


async def test_a_cursor_alone_goes_on(client: httpx.AsyncClient) -> None:
    """It carries what decides which rows come; how they are written may change."""
    first = await get(client, start=at(0), limit=10, interval="5m", order="desc", features="none")
    second = await get(client, cursor=first["next_cursor"], limit=5, layout="columns", features="sma_15")
    assert second["interval"] == "5m"
    assert second["data"]["timestamp"][0] == at(COUNT - 55)


def _numbers(row: dict[str, Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in row.values() if not isinstance(value, str)]


def _minutes(instant: str) -> int:
    return (datetime.fromisoformat(instant) - START) // timedelta(minutes=1)


def _bars(ticks: list[Tick], minutes: int) -> list[dict[str, object]]:
    groups: dict[int, list[Tick]] = {}
    for tick in ticks:
        groups.setdefault((tick.minute - START) // timedelta(minutes=1) // minutes, []).append(tick)
    return [
        {
            "timestamp": at(number * minutes),
            "price": group[-1].close,
            "open": group[0].open,
            "high": max(tick.high for tick in group),
            "low": min(tick.low for tick in group),
            "volume": sum(tick.volume for tick in group),
            "trades": sum(tick.trades for tick in group),
            "source": "binance",
            "created_at": "2024-06-01T12:00:00.123456Z",
        }
        for number, group in groups.items()
        if (number + 1) * minutes <= COUNT
    ]
