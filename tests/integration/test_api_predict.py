"""`/price/predict`: what is fresh, with its model and track record, or a 503 that says why there is none."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest

from shared.instant import MINUTE
from shared.levels import LEVELS
from tests.integration.api_forecasts import DECISION, HORIZONS, MODEL, Scribe, bounds_about, writing
from tests.integration.api_server import SYMBOL, add_ticks, make_ticks, serving, store, text
from tests.postgres import Database

COUNT = 30
TICKS = make_ticks(COUNT)
NEWEST = TICKS[-1]
MADE_AT = NEWEST.minute + MINUTE
EMPTY_SCORE = {
    "n": 0,
    "mae": None,
    "naive_mae": None,
    "relative_mae": None,
    "coverage": dict.fromkeys(map(str, LEVELS)),
}


@pytest.fixture
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    """Half an hour of minutes, and who writes forecasts of them."""
    await store(database.owner_url, TICKS)
    async with writing(database) as scribe:
        yield scribe


async def ask(database: Database, path: str = "/price/predict") -> httpx.Response:
    """What a process answers that knows nothing yet."""
    async with serving(database.api_url) as client:
        return await client.get(path)


def exact(response: httpx.Response) -> Any:
    """The answer's JSON with exact numbers."""
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=Decimal)


async def test_the_newest_forecast_of_each_horizon_is_served(database: Database, scribe: Scribe) -> None:
    """As it was written, with the model that made it."""
    await scribe.forecast_all(TICKS[-3:])
    response = await ask(database)
    answer = exact(response)
    assert (answer["symbol"], answer["notes"]) == (SYMBOL, [])
    assert [forecast["horizon_minutes"] for forecast in answer["forecasts"]] == list(HORIZONS)
    close = NEWEST.close
    for forecast in answer["forecasts"]:
        horizon = forecast["horizon_minutes"]
        assert forecast.pop("volatility") == Decimal(str(0.0005 * horizon**0.5))
        assert forecast == {
            "horizon_minutes": horizon,
            "made_at": text(MADE_AT),
            "target_time": text(MADE_AT + horizon * MINUTE),
            "expires_at": text(MADE_AT + timedelta(seconds=90)),
            "base_price": close,
            "price": close,
            "is_naive": True,
            "intervals": {str(level): list(bounds) for level, bounds in bounds_about(close, horizon).items()},
            "probability_up": Decimal("0.5"),
            "model": {
                "name": MODEL.name,
                "version": 3,
                "run_id": MODEL.run_id,
                "trained_at": text(MODEL.trained_at),
                "trained_from": text(MODEL.trained_from),
                "trained_to": text(MODEL.trained_to),
                "data_digest": MODEL.data_digest,
                "feature_version": 1,
                "decision": DECISION,
            },
            "track_record": {"24h": EMPTY_SCORE, "7d": EMPTY_SCORE, "30d": EMPTY_SCORE},
        }
    assert 2 <= answer["age_seconds"] < 10
    assert answer["model_age_seconds"] > 0
    age = int(response.headers["cache-control"].removeprefix("public, max-age="))
    assert 45 <= age <= 57


async def test_one_horizon_has_the_same_shape(database: Database, scribe: Scribe) -> None:
    """With that horizon alone."""
    await scribe.forecast(NEWEST)
    async with serving(database.api_url) as client:
        whole = (await client.get("/price/predict")).json()
        one = (await client.get("/price/predict?horizon=5&symbol=btcusdt")).json()
    assert one["forecasts"] == whole["forecasts"][1:2]
    assert one.keys() == whole.keys()


async def test_a_point_that_is_not_the_last_price_is_not_called_naive(database: Database, scribe: Scribe) -> None:
    """It was a model's."""
    point = NEWEST.close + Decimal("0.01")
    await scribe.forecast(NEWEST, [5], point)
    [forecast] = exact(await ask(database))["forecasts"]
    assert (forecast["price"], forecast["is_naive"]) == (point, False)


async def test_a_horizon_that_no_model_has_is_not_found(database: Database, scribe: Scribe) -> None:
    """Those that there are, are named."""
    await scribe.forecast(NEWEST)
    response = await ask(database, "/price/predict?horizon=7")
    assert (response.status_code, response.json()["type"]) == (404, "urn:minutebook:problem:unknown-horizon")
    assert response.json()["detail"] == "BTCUSDT is not forecast over 7 minutes; there are: 1, 5, 60."


async def test_an_expired_forecast_is_not_served(database: Database, scribe: Scribe) -> None:
    """It holds for 90 seconds of the exchange's clock."""
    await scribe.forecast(NEWEST)
    await scribe.tell(None)
    await scribe.set_time(MADE_AT + timedelta(seconds=75))
    response = await ask(database)
    assert (response.status_code, response.headers["cache-control"]) == (200, "public, max-age=0")
    await scribe.set_time(MADE_AT + timedelta(seconds=90))
    response = await ask(database)
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert (response.headers["cache-control"], response.headers["retry-after"]) == ("no-store", "5")
    problem = response.json()
    assert problem["type"] == "urn:minutebook:problem:no-forecast"
    assert problem["detail"] == ("The newest forecast, made at 2024-03-01T00:30:00Z, expired at 2024-03-01T00:31:30Z.")


async def test_a_horizon_that_came_too_late_is_served_from_the_minute_before(
    database: Database, scribe: Scribe
) -> None:
    """As long as that is fresh."""
    await scribe.forecast(TICKS[-2], [1, 5])
    await scribe.forecast(NEWEST, [5])
    async with serving(database.api_url) as client:
        forecasts = (await client.get("/price/predict")).json()["forecasts"]
        assert [forecast["made_at"] for forecast in forecasts] == [text(MADE_AT - MINUTE), text(MADE_AT)]
        response = await client.get("/price/predict?horizon=60")
    assert response.status_code == 503
    assert response.json()["detail"].startswith("There is no fresh forecast over 60 minutes")


async def test_it_says_that_nothing_was_ever_forecast(database: Database) -> None:
    """And what to do."""
    await store(database.owner_url, TICKS)
    for path in ("/price/predict", "/price/predict?horizon=15"):
        response = await ask(database, path)
        assert (response.status_code, response.json()["type"]) == (503, "urn:minutebook:problem:no-forecast")
        assert response.json()["detail"].startswith("BTCUSDT has never been forecast; start the predictor")


async def test_it_says_what_the_predictor_says(database: Database, scribe: Scribe) -> None:
    """While that lives."""
    await scribe.tell("Too many of the minutes before 2024-03-01T00:30:00Z are missing to forecast from.")
    response = await ask(database)
    assert response.status_code == 503
    assert response.json()["detail"].startswith("Too many of the minutes before")


async def test_it_says_that_the_predictor_is_silent(database: Database, scribe: Scribe) -> None:
    """What it said last no longer holds."""
    await scribe.forecast(NEWEST)
    await scribe.tell("An old reason.", silent_for=61)
    await scribe.set_time(MADE_AT + timedelta(minutes=10))
    detail = (await ask(database)).json()["detail"]
    assert detail.startswith("The predictor has said nothing of BTCUSDT since 20")
    assert detail.endswith("The newest forecast, made at 2024-03-01T00:30:00Z, expired at 2024-03-01T00:31:30Z.")


async def test_a_fresh_forecast_is_served_whatever_the_predictor_does(database: Database, scribe: Scribe) -> None:
    """Such as one that a job wrote, of which nobody says anything."""
    await scribe.forecast(NEWEST)
    assert (await ask(database)).status_code == 200
    await scribe.tell("It just died.", silent_for=3_600)
    assert (await ask(database)).status_code == 200


async def test_a_registry_that_is_away_is_noted(database: Database, scribe: Scribe) -> None:
    """With the model that serves on."""
    await scribe.forecast(NEWEST)
    await scribe.tell(None, registry_reason="The model registry does not answer.")
    answer = (await ask(database)).json()
    model = "version 3 of the model, trained at 2024-02-29T03:15:21Z"
    assert answer["notes"] == [f"The model registry does not answer. Forecasts go on with {model}."]
    await scribe.tell(None)
    assert (await ask(database)).json()["notes"] == []


async def test_the_tag_changes_with_the_forecast_and_not_with_its_age(database: Database, scribe: Scribe) -> None:
    """So a reader is told that it has the newest."""
    await scribe.forecast(TICKS[-2])
    async with serving(database.api_url) as client:
        first = await client.get("/price/predict")
        again = first
        while again.json()["age_seconds"] == first.json()["age_seconds"]:
            again = await client.get("/price/predict")
        assert again.headers["etag"] == first.headers["etag"]
        kept = await client.get("/price/predict", headers={"If-None-Match": first.headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")
        await scribe.forecast(NEWEST)
        newer = await client.get("/price/predict", headers={"If-None-Match": first.headers["etag"]})
        assert newer.status_code == 200
        head = await client.head("/price/predict")
        assert (head.status_code, head.content) == (200, b"")


async def test_symbols_are_apart(database: Database, scribe: Scribe) -> None:
    """One's forecasts are none of another's."""
    await store(database.owner_url, TICKS, symbol="ETHUSDT")
    async with writing(database, ["ETHUSDT"]) as other:
        await other.forecast(NEWEST, [15], symbol="ETHUSDT")
    async with serving(database.api_url) as client:
        assert (await client.get("/price/predict")).status_code == 503
        answer = (await client.get("/price/predict?symbol=ETHUSDT")).json()
        assert [forecast["horizon_minutes"] for forecast in answer["forecasts"]] == [15]
        assert (await client.get("/price/predict?symbol=DOGE")).status_code == 404


async def test_track_record_comes_along(database: Database, scribe: Scribe) -> None:
    """Of the horizon, beside naive's."""
    await scribe.forecast_all(TICKS)
    later = make_ticks(1, start=MADE_AT, seed=2)
    await add_ticks(scribe.owner, later)
    await scribe.forecast(later[0])
    await scribe.score()
    [forecast] = exact(await ask(database, "/price/predict?horizon=1"))["forecasts"]
    score = forecast["track_record"]["24h"]
    closes = [tick.close for tick in (*TICKS, *later)]
    moves = [abs(after - before) for before, after in pairwise(closes)]
    assert score["n"] == COUNT
    assert float(score["mae"]) == pytest.approx(float(sum(moves)) / COUNT)
    assert (score["naive_mae"], score["relative_mae"]) == (score["mae"], 1)
    assert float(score["coverage"]["50"]) == sum(move <= 10 for move in moves) / COUNT
    assert forecast["track_record"]["30d"] == score


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("horizon=0", "horizon"), ("horizon=1441", "horizon"), ("horizon=x", "horizon"), ("hours=1", "hours")],
)
async def test_bad_parameters_are_refused(database: Database, scribe: Scribe, query: str, parameter: str) -> None:
    """And named, for the scores too."""
    async with serving(database.api_url) as client:
        for path in ("/price/predict", "/price/predict/score"):
            response = await client.get(f"{path}?{query}")
            assert response.status_code == 400
            assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
