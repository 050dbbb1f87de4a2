"""Symbols of several sources: each by its own clock, and null for what a source does not tell."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.intervals import INTERVALS
from shared.database.database import connect
from shared.instant import MINUTE
from tests.integration.api_server import START, SYMBOL, at, make_ticks, serving, store
from tests.postgres import Database

OTHER = "coinbase:BTC-USD"
COUNT = 300
TICKS = make_ticks(COUNT)
# Minutes whose amounts nobody told: two of one bar of 5 minutes, and all of the record's last hour.
UNTOLD = {122, 123, *range(240, 300)}
AMOUNTS = "vwap_60,taker_share_1,trades_ratio_60,mean_quote_volume_1,sma_15,price_range"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a record that lacks the amounts of some minutes."""
    await store(database.owner_url, TICKS)
    async with connect(database.owner_url, "test") as owner:
        await owner.execute(
            """
            UPDATE ticks
            SET quote_volume = NULL, trades = NULL, taker_base_volume = NULL, taker_quote_volume = NULL
            WHERE minute = ANY ($1)
            """,
            [START + offset * MINUTE for offset in UNTOLD],
        )
        await owner.execute("SELECT refresh_rollups($1, $2, $3)", SYMBOL, START, START + COUNT * MINUTE)
    async with serving(database.api_url) as client:
        yield client


async def get(client: httpx.AsyncClient, path: str, **query: object) -> dict[str, Any]:
    response = await client.get(path, params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_an_amount_that_nobody_told_is_null_in_its_own_row(client: httpx.AsyncClient, order: str) -> None:
    """And in no other, in each form."""
    query: dict[str, str | int] = {
        "start": at(100),
        "end": at(280),
        "limit": 1_000,
        "order": order,
        "features": AMOUNTS,
    }
    rows = (await get(client, "/price/history", **query))["data"]
    expected = {at(n): None if n in UNTOLD else TICKS[n].trades for n in range(100, 280)}
    assert {row["timestamp"]: row["trades"] for row in rows} == expected
    assert all(row["volume"] is not None and row["sma_15"] is not None for row in rows)
    columns = (await get(client, "/price/history", **query, layout="columns"))["data"]
    assert columns == {name: [row[name] for row in rows] for name in rows[0]}
    text = (await client.get("/price/history", params={**query, "format": "csv"})).text
    lines = list(csv.DictReader(io.StringIO(text)))
    for line, row in zip(lines, rows, strict=True):
        for name in ("trades", *AMOUNTS.split(",")):
            assert (line[name] == "") == (row[name] is None)
            assert row[name] is None or float(line[name]) == row[name]


async def test_a_feature_of_amounts_that_nobody_told_is_null(client: httpx.AsyncClient) -> None:
    """As long as its window holds such a minute, and no longer."""
    page = await get(client, "/price/history", start=at(100), end=at(280), limit=1_000, features=AMOUNTS)
    for offset, row in enumerate(page["data"], start=100):
        touches = any(offset - 60 < minute <= offset for minute in UNTOLD)
        assert (row["vwap_60"] is None) == (row["trades_ratio_60"] is None) == touches
        assert (row["taker_share_1"] is None) == (row["mean_quote_volume_1"] is None) == (offset in UNTOLD)


@pytest.mark.parametrize("interval", [name for name, each in INTERVALS.items() if each.minutes <= COUNT])
async def test_a_bar_has_no_sum_that_one_of_its_minutes_lacks(client: httpx.AsyncClient, interval: str) -> None:
    """A sum of what is there would look like the whole."""
    length = INTERVALS[interval].minutes
    page = await get(
        client, "/price/history", interval=interval, start=at(0), limit=COUNT, features="mean_quote_volume_1"
    )
    assert page["count"] == COUNT // length
    for number, row in enumerate(page["data"]):
        minutes = range(number * length, (number + 1) * length)
        is_told = UNTOLD.isdisjoint(minutes)
        assert row["trades"] == (sum(TICKS[minute].trades for minute in minutes) if is_told else None)
        assert (row["mean_quote_volume_1"] is not None) == is_told
        assert row["volume"] is not None


async def test_sums_and_the_newest_minute_say_null(client: httpx.AsyncClient) -> None:
    """Rather than zero, or the sum of the others."""
    latest = await get(client, "/price/latest")
    assert (latest["quote_volume"], latest["trades"]) == (None, None)
    assert latest["volume"] is not None
    told = await get(client, "/price/stats", start=at(0), end=at(120))
    assert told["trades"] == sum(tick.trades for tick in TICKS[:120])
    assert told["vwap"] is not None
    for start, end in ((0, 123), (60, 180), (0, 300), (123, 124)):
        stats = await get(client, "/price/stats", start=at(start), end=at(end))
        assert (stats["quote_volume"], stats["trades"], stats["vwap"]) == (None, None, None)
        assert float(stats["volume"]) == pytest.approx(float(sum(tick.volume for tick in TICKS[start:end])))


async def test_another_sources_symbol_is_asked_for_by_its_name(database: Database) -> None:
    """However its letters are written; and now is its own exchange's."""
    await store(database.owner_url, TICKS[:100])
    await store(database.owner_url, TICKS[:200], symbol=OTHER, now=START + 100 * MINUTE)
    async with connect(database.owner_url, "test") as owner:
        await owner.execute(
            "INSERT INTO exchange_clocks VALUES ('coinbase', $1, clock_timestamp())", START + 210 * MINUTE
        )
    async with serving(database.api_url) as client:
        for symbol in (OTHER, "coinbase:btc-usd", "COINBASE:Btc-Usd"):
            for path in ("latest", "history", "stats", "gaps"):
                assert (await get(client, f"/price/{path}", symbol=symbol))["symbol"] == OTHER
        assert (await get(client, "/price/latest", symbol="binance:btcusdt"))["symbol"] == SYMBOL
        ends = [(await get(client, "/price/history", symbol=symbol))["end"] for symbol in (SYMBOL, OTHER)]
        assert ends == [at(100), at(210)]
        missing = (await get(client, "/price/gaps", symbol=OTHER))["gaps"]
        assert [(gap["start"], gap["end"]) for gap in missing] == [(at(200), at(210))]
        ages = {symbol: found["age_seconds"] for symbol, found in (await get(client, "/health"))["ticks"].items()}
        assert ages[SYMBOL] < 60 < timedelta(minutes=10).total_seconds() <= ages[OTHER]
        page = await client.get("/price/history", params={"symbol": OTHER, "format": "csv"})
        assert page.headers["content-disposition"] == 'attachment; filename="coinbase-BTC-USD-1m.csv"'
        refused = await client.get("/price/latest", params={"symbol": "kraken:BTC-USD"})
        assert (refused.status_code, refused.json()["title"]) == (404, "The symbol is not collected")


async def test_a_cursor_of_another_sources_symbol_goes_on(database: Database) -> None:
    """With the symbol in whatever spelling."""
    await store(database.owner_url, TICKS[:100], symbol=OTHER)
    async with serving(database.api_url) as client:
        first = await get(client, "/price/history", symbol=OTHER, start=at(0), limit=60)
        rest = await get(client, "/price/history", symbol="coinbase:btc-usd", cursor=first["next_cursor"], limit=60)
    assert (first["count"], rest["count"], rest["next_cursor"]) == (60, 40, None)
