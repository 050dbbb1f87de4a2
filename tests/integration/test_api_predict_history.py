"""`/price/predict/history`: every forecast as it was written, once, with what became of it."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.instant import MINUTE
from shared.levels import LEVELS
from tests.integration.api_forecasts import HORIZONS, MODEL, Scribe, bounds_about, writing
from tests.integration.api_server import START, add_ticks, at, make_ticks, serving, store, text
from tests.postgres import Database, Server

# Most only read, from one server.
pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 40
# One minute is missing, so that what spans it cannot be scored.
MISSING = 20
TICKS = make_ticks(COUNT, missing=[MISSING])
# A forecast is named by the close of the minute that it was made from.
KEYS = [(text(tick.minute + MINUTE), horizon) for tick in TICKS for horizon in HORIZONS]
END = START + COUNT * MINUTE
PATH = "/price/predict/history"


@asynccontextmanager
async def forecasting(database: Database) -> AsyncIterator[Scribe]:
    """Write a forecast of each minute; those over 1 and 5 minutes have nearly all come due."""
    await store(database.owner_url, TICKS)
    async with writing(database) as scribe:
        await scribe.forecast_all(TICKS)
        await scribe.score()
        yield scribe


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(postgres_server: Server) -> AsyncIterator[tuple[Scribe, httpx.AsyncClient]]:
    """Forecasts, and the API over them."""
    async with (
        postgres_server.cloned(postgres_server.template) as database,
        forecasting(database) as scribe,
        serving(database.api_url) as client,
    ):
        yield scribe, client


@pytest_asyncio.fixture(loop_scope="session")
async def client(served: tuple[Scribe, httpx.AsyncClient]) -> httpx.AsyncClient:
    """The API just after the last forecast, for a test that only reads."""
    scribe, client = served
    await scribe.set_time(END + timedelta(seconds=2))
    return client


@pytest_asyncio.fixture(loop_scope="session")
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    """Forecasts of the test's own, which it may change."""
    async with forecasting(database) as scribe:
        yield scribe


@pytest_asyncio.fixture(loop_scope="session")
async def own_client(database: Database, scribe: Scribe) -> AsyncIterator[httpx.AsyncClient]:
    """The API over those."""
    async with serving(database.api_url) as client:
        yield client


async def get(client: httpx.AsyncClient, **parameters: object) -> Any:
    """The answer's JSON with exact numbers."""
    response = await client.get(PATH, params={name: str(value) for name, value in parameters.items()})
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal)


async def walk(client: httpx.AsyncClient, **parameters: object) -> list[Any]:
    """Every page, by following cursors."""
    pages = [await get(client, **parameters)]
    while pages[-1]["next_cursor"]:
        pages.append(await get(client, **{**parameters, "cursor": pages[-1]["next_cursor"]}))
        assert len(pages) < 1_000
    return pages


def keys(*pages: Any) -> list[tuple[str, int]]:
    """Which forecasts the pages have."""
    return [(row["made_at"], row["horizon_minutes"]) for page in pages for row in page["data"]]


async def max_age(client: httpx.AsyncClient, **parameters: str) -> int:
    """How long an answer may be kept, in seconds."""
    header = (await client.get(PATH, params=parameters)).headers["cache-control"]
    return int(header.removeprefix("public, max-age="))


async def test_a_forecast_comes_with_its_outcome(own_client: httpx.AsyncClient, scribe: Scribe) -> None:
    """Every number is the stored one, digit by digit."""
    [row] = (await get(own_client, start=at(6), end=at(7), horizon=5))["data"]
    close, actual = TICKS[5].close, TICKS[10].close
    stored = await scribe.owner.fetchrow(
        """
        SELECT *
        FROM forecasts
        JOIN forecast_scores USING (symbol, made_at, horizon_minutes, target_time)
        WHERE made_at = $1 AND horizon_minutes = 5
        """,
        START + 6 * MINUTE,
    )
    assert stored
    intervals = bounds_about(close, 5)
    outcome = row.pop("outcome")
    assert row == {
        "made_at": at(6),
        "horizon_minutes": 5,
        "target_time": at(11),
        "expires_at": text(START + timedelta(minutes=7, seconds=30)),
        "base_price": close,
        "price": close,
        "intervals": {str(level): list(bounds) for level, bounds in intervals.items()},
        "volatility": Decimal(repr(0.0005 * 5**0.5)),
        "probability_up": Decimal("0.5"),
        "model_version": MODEL.version,
        "created_at": text(stored["created_at"]),
    }
    assert outcome == {
        "actual_price": actual,
        "absolute_error": abs(actual - close),
        "naive_absolute_error": abs(actual - close),
        "covered": {str(level): lower <= actual <= upper for level, (lower, upper) in intervals.items()},
        "winkler": {str(level): Decimal(repr(value)) for level, value in zip(LEVELS, stored["winkler"], strict=True)},
        "pinball": Decimal(repr(stored["pinball"])),
        "realised_volatility": Decimal(repr(stored["realised_variance"] ** 0.5)),
        "qlike": Decimal(repr(stored["qlike"])),
        "scored_at": text(stored["scored_at"]),
        "rescored_at": None,
    }


async def test_what_has_no_outcome_yet_has_none(client: httpx.AsyncClient) -> None:
    """Because its target is ahead, or spans a missing minute."""
    rows = (await get(client, start=at(0), horizon=5, limit=1_000))["data"]
    scored = {row["made_at"] for row in rows if row["outcome"]}
    # Forecast at minute m, it needs the minutes m - 1 to m + 4.
    assert scored == {at(made) for made in range(1, COUNT - 4) if not made - 1 <= MISSING <= made + 4}


async def test_a_correction_shows_in_the_outcome(own_client: httpx.AsyncClient, scribe: Scribe) -> None:
    """With the time of the new score."""
    await scribe.owner.execute(
        "UPDATE ticks SET close = close + 0.5, high = high + 1, corrected_at = now() WHERE minute = $1",
        START + 6 * MINUTE,
    )
    assert await scribe.score()
    [row] = (await get(own_client, start=at(6), end=at(7), horizon=1))["data"]
    assert row["outcome"]["actual_price"] == TICKS[6].close + Decimal("0.5")
    assert row["outcome"]["rescored_at"] >= row["outcome"]["scored_at"]


async def test_without_a_start_the_newest_come(client: httpx.AsyncClient) -> None:
    """Oldest first all the same, and there is no page after them."""
    answer = await get(client)
    assert keys(answer) == KEYS[-100:]
    assert (answer["count"], answer["next_cursor"], answer["horizon_minutes"]) == (100, None, None)
    assert (answer["start"], answer["end"]) == (KEYS[-100][0], at(COUNT + 1))
    answer = await get(client, horizon=60, limit=3)
    assert keys(answer) == [key for key in KEYS if key[1] == 60][-3:]
    assert answer["horizon_minutes"] == 60


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 1_000])
@pytest.mark.parametrize("horizon", [None, 5])
async def test_following_cursors_gives_every_forecast_once(
    client: httpx.AsyncClient, order: str, limit: int, horizon: int | None
) -> None:
    """In both orders; a page may end between two horizons of one minute."""
    asked = {"start": at(3), "end": at(30), "order": order, "limit": limit}
    if horizon:
        asked["horizon"] = horizon
    pages = await walk(client, **asked)
    expected = [key for key in KEYS if at(3) <= key[0] < at(30) and horizon in {None, key[1]}]
    assert keys(*pages) == (expected if order == "asc" else expected[::-1])
    assert all(page["count"] == len(page["data"]) == limit for page in pages[:-1])
    assert {(page["start"], page["end"], page["horizon_minutes"]) for page in pages} == {(at(3), at(30), horizon)}


async def test_backwards_from_the_newest_everything_comes(client: httpx.AsyncClient) -> None:
    """Without a start, to the first forecast there is."""
    pages = await walk(client, order="desc", limit=50)
    assert keys(*pages) == KEYS[::-1]


async def test_pages_stay_whole_while_forecasts_arrive(own_client: httpx.AsyncClient, scribe: Scribe) -> None:
    """A walk sees the range as it was at its first page, and nothing twice."""
    first = await get(own_client, start="24h", order="desc", limit=50)
    later = make_ticks(1, start=END)
    await add_ticks(scribe.owner, later)
    await scribe.forecast(later[0])
    rest = await walk(own_client, cursor=first["next_cursor"], limit=50)
    assert keys(first, *rest) == KEYS[::-1]


async def test_a_cursor_alone_goes_on_with_its_walk(client: httpx.AsyncClient) -> None:
    """And with other parameters it is refused, as one of another route is."""
    page = await get(client, start=at(0), end=at(30), horizon=5, limit=4, order="desc")
    rest = await get(client, cursor=page["next_cursor"], limit=4)
    assert keys(rest) == [key for key in KEYS if key[1] == 5 and key[0] < at(30)][::-1][4:8]
    response = await client.get(PATH, params={"cursor": page["next_cursor"], "horizon": "1"})
    assert (response.status_code, response.json()["type"]) == (400, "urn:minutebook:problem:invalid-cursor")
    bars = (await client.get("/price/history", params={"start": at(0), "limit": 5})).json()["next_cursor"]
    response = await client.get(PATH, params={"cursor": bars})
    assert response.json()["detail"].startswith("This is not a cursor of this route")


@pytest.mark.parametrize("chunk", [7, 10_000])
async def test_csv_has_the_same_values(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """The whole range without a limit, in however many chunks; nothing for null."""
    monkeypatch.setattr("api.rows.CHUNK_ROWS", chunk)
    response = await client.get(PATH, params={"format": "csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="BTCUSDT-forecasts.csv"'
    lines = list(csv.DictReader(io.StringIO(response.text)))
    answer = await client.get(PATH, params={"start": at(0), "limit": 1_000})
    rows = json.loads(answer.text, parse_float=str, parse_int=str)["data"]
    assert len(lines) == len(rows) == len(KEYS)
    for line, row in zip(lines, rows, strict=True):
        outcome = row.pop("outcome")
        flat = {
            f"{side}_{level}": bound
            for level, pair in row.pop("intervals").items()
            for side, bound in zip(("lower", "upper"), pair, strict=True)
        }
        flat |= row
        if outcome:
            for name in ("covered", "winkler"):
                flat |= {f"{name}_{level}": value for level, value in outcome.pop(name).items()}
            flat |= outcome
        texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in flat.items()}
        assert {name: value or None for name, value in line.items()} == dict.fromkeys(line) | texts


async def test_csv_in_pages(client: httpx.AsyncClient) -> None:
    """The cursor is in a header."""
    response = await client.get(PATH, params={"format": "csv", "limit": 5, "start": at(0)})
    assert len(response.text.splitlines()) == 6
    rest = await client.get(
        PATH, params={"format": "csv", "limit": 5, "start": at(0), "cursor": response.headers["next-cursor"]}
    )
    assert rest.text.splitlines()[1].startswith(",".join(map(str, KEYS[5])))


async def test_the_past_is_kept_for_long_once_it_is_scored(database: Database, scribe: Scribe) -> None:
    """What still waits for its outcome only until the next minute."""
    await scribe.set_time(END + timedelta(hours=3, seconds=5))
    async with serving(database.api_url) as client:
        assert await max_age(client, start=at(1), end=at(10), horizon="5") >= 3_600
        assert await max_age(client, end=at(10), horizon="5") >= 3_600
        assert await max_age(client, start=at(1), end=at(10)) <= 55
        assert await max_age(client, start="4h", end=at(10), horizon="5") <= 55
        assert await max_age(client, start=at(1), horizon="5") <= 55


async def test_the_tag_changes_with_an_outcome(own_client: httpx.AsyncClient, scribe: Scribe) -> None:
    """And not without one."""
    first = await own_client.get(PATH, params={"start": at(0)})
    headers = {"If-None-Match": first.headers["etag"]}
    assert (await own_client.get(PATH, params={"start": at(0)}, headers=headers)).status_code == 304
    await add_ticks(scribe.owner, make_ticks(1, start=START + MISSING * MINUTE))
    assert await scribe.score()
    assert (await own_client.get(PATH, params={"start": at(0)}, headers=headers)).status_code == 200


async def test_before_the_first_forecast_there_is_nothing(database: Database) -> None:
    """An empty page, and CSV's header alone."""
    await store(database.owner_url, TICKS)
    async with serving(database.api_url) as client:
        answer = await get(client)
        assert (answer["count"], answer["data"], answer["next_cursor"]) == (0, [], None)
        assert len((await client.get(PATH, params={"format": "csv"})).text.splitlines()) == 1


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ("horizon=7", 404, "horizon"),
        ("horizon=0", 400, "horizon"),
        ("limit=0", 400, "limit"),
        ("limit=10001", 400, "limit"),
        ("order=up", 400, "order"),
        ("format=xml", 400, "format"),
        ("interval=1h", 400, "interval"),
        ("start=1700000000", 400, "start"),
        ("start=1h&end=2h", 400, "start"),
        ("cursor=x", 400, "cursor"),
    ],
)
async def test_bad_parameters_are_refused(client: httpx.AsyncClient, query: str, status: int, parameter: str) -> None:
    """And named."""
    response = await client.get(f"{PATH}?{query}")
    assert response.status_code == status
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
