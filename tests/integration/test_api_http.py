"""What answers depend on: the newest minute, the clock, what is collected, and mistakes of ours."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import httpx
import pytest

from shared.errors import DataRefusedError
from tests.integration.api_server import START, add_ticks, at, beat, make_ticks, serving, store, text
from tests.postgres import Database

COUNT = 300
TICKS = make_ticks(COUNT)
LATEST = TICKS[-1]
ROUTES = (
    "/",
    "/price/latest",
    "/price/history",
    "/price/stats",
    "/price/gaps",
    "/price/predict/history",
    "/price/predict/score",
)
# Three hours after the last minute.
LATER = START + timedelta(minutes=COUNT + 180, seconds=20)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The API over the record, 12.5 s after its last minute closed."""
    await store(database.owner_url, TICKS, now=START + timedelta(minutes=COUNT, seconds=12.5))
    async with serving(database.api_url) as client:
        yield client


async def test_latest_is_the_newest_minute(client: httpx.AsyncClient) -> None:
    """With its age by the exchange's clock."""
    response = await client.get("/price/latest")
    answer = response.json()
    assert 12.5 <= answer.pop("age_seconds") < 20
    assert answer == {
        "symbol": "BTCUSDT",
        "price": float(LATEST.close),
        "timestamp": text(LATEST.minute),
        "open": float(LATEST.open),
        "high": float(LATEST.high),
        "low": float(LATEST.low),
        "volume": float(LATEST.volume),
        "quote_volume": float(LATEST.quote_volume),
        "trades": LATEST.trades,
        "source": "binance",
        "created_at": "2024-06-01T12:00:00.123456Z",
        "stale": False,
    }
    age = int(response.headers["cache-control"].removeprefix("public, max-age="))
    assert 40 <= age <= 47


async def test_latest_is_stale_after_two_minutes(client: httpx.AsyncClient, database: Database) -> None:
    """And then not kept by caches: what is late may come at any moment."""
    connection = await asyncpg.connect(database.owner_url)
    await beat(connection, START + timedelta(minutes=COUNT, seconds=121))
    await connection.close()
    async with serving(database.api_url) as later:
        response = await later.get("/price/latest")
    assert response.json()["stale"] is True
    assert response.headers["cache-control"] == "public, max-age=0"


async def test_a_new_minute_is_visible_at_once(client: httpx.AsyncClient, database: Database) -> None:
    """Nothing of the data is kept between requests."""
    connection = await asyncpg.connect(database.owner_url)
    [tick] = make_ticks(1, start=START + timedelta(minutes=COUNT))
    for path in ROUTES:
        await client.get(path)
    await add_ticks(connection, [tick])
    await connection.close()
    assert (await client.get("/price/latest")).json()["timestamp"] == text(tick.minute)


async def test_there_is_no_latest_before_the_first_tick(database: Database) -> None:
    """404, while history, stats and gaps are merely empty."""
    await store(database.owner_url, [], since=START, now=START + timedelta(minutes=2))
    async with serving(database.api_url) as client:
        response = await client.get("/price/latest")
        assert (response.status_code, response.json()["type"]) == (404, "urn:minutebook:problem:no-data")
        history = (await client.get("/price/history")).json()
        assert (history["count"], history["data"], history["next_cursor"]) == (0, [], None)
        assert (await client.get("/price/stats")).json()["count"] == 0
        gaps = (await client.get("/price/gaps")).json()
        assert gaps["gaps"] == [{"start": at(0), "end": at(2), "minutes": 2, "cause": "not_collected"}]


async def test_nothing_collected_is_said(database: Database) -> None:
    """Before a collector ever ran."""
    async with serving(database.api_url) as client:
        for path in ROUTES[1:]:
            response = await client.get(path)
            assert (response.status_code, response.json()["type"]) == (404, "urn:minutebook:problem:no-data")
        assert (await client.get("/price/latest?symbol=X")).json()["detail"].endswith("nothing is collected yet.")


async def test_the_default_symbol_is_the_first_collected(database: Database) -> None:
    """In the order of collection, not of the alphabet; a symbol's case does not matter."""
    await store(database.owner_url, TICKS)
    await store(database.owner_url, TICKS[:5], symbol="AAAUSDT")
    async with serving(database.api_url) as client:
        assert (await client.get("/price/latest")).json()["symbol"] == "BTCUSDT"
        assert (await client.get("/price/latest?symbol=aaausdt")).json()["symbol"] == "AAAUSDT"
        response = await client.get("/price/history?symbol=ETHUSDT")
    assert response.status_code == 404
    assert response.json()["detail"] == "'ETHUSDT' is not collected; collected are: BTCUSDT, AAAUSDT."


@pytest.mark.parametrize("path", ["/price/history", "/price/stats", "/price/gaps"])
async def test_the_past_is_kept_for_long(database: Database, path: str) -> None:
    """If it is whole and the range fixed, with a start or without; else until the next minute."""
    # The exchange itself lacks a minute, and one is still to be fetched.
    absence = (START + timedelta(minutes=30), START + timedelta(minutes=31))
    ticks = make_ticks(1_440 + COUNT, start=START - timedelta(days=1), missing=[1_440 + 30, 1_440 + 250])
    await store(database.owner_url, ticks, now=LATER, absences=[absence])
    async with serving(database.api_url) as client:

        async def max_age(**query: str) -> int:
            header = (await client.get(path, params=query)).headers["cache-control"]
            return int(header.removeprefix("public, max-age="))

        assert await max_age(start=at(0), end=at(200)) >= 3_600
        assert await max_age(end=at(200)) >= 3_600
        assert await max_age(start=at(200), end=at(300)) <= 40
        assert await max_age(end=at(300)) <= 40
        assert await max_age(start="6h", end=at(200)) <= 40
        assert await max_age(end="5h") <= 40
        assert await max_age(start="6h", end="5h") <= 40
        assert await max_age() <= 40


async def test_a_page_that_an_earlier_beginning_would_fill_is_not_kept(database: Database) -> None:
    """Without a start as many rows come as there are."""
    await store(database.owner_url, TICKS, now=LATER)
    async with serving(database.api_url) as client:
        short = await client.get("/price/history", params={"end": at(60)})
        assert short.json()["count"] == 60
        assert int(short.headers["cache-control"].removeprefix("public, max-age=")) <= 40


@pytest.mark.parametrize("mistake", [ZeroDivisionError("secret"), DataRefusedError("Postgres: secret")])
async def test_a_mistake_of_ours_is_a_problem_without_its_internals(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, mistake: Exception
) -> None:
    """The log has the traceback under the request's id; a query that computes what no type holds is one too."""

    async def fail(*_: object) -> None:
        raise mistake

    monkeypatch.setattr("api.latest.routes.select_latest_tick", fail)
    response = await client.get("/price/latest", headers={"Origin": "https://example.org"})
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.json()["detail"]
    assert response.headers["access-control-allow-origin"] == "*"
