"""`/health` over forecasts: judged once a predictor has run, and only of the symbols that it forecasts."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.instant import DAY, MINUTE
from tests.integration.api_forecasts import MODEL, Scribe, writing
from tests.integration.api_server import START, SYMBOL, make_ticks, serving, store, text
from tests.postgres import Database

TICKS = make_ticks(10)
MADE_AT = TICKS[-1].minute + MINUTE


@pytest.fixture
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    """A fresh record, and who writes forecasts of it."""
    await store(database.owner_url, TICKS)
    async with writing(database) as scribe:
        yield scribe


async def read(database: Database) -> Any:
    """The answer, which is a 200."""
    async with serving(database.api_url) as client:
        response = await client.get("/health")
    assert response.status_code == 200
    return response.json()


async def test_a_record_without_a_predictor_is_well(database: Database) -> None:
    """Nobody said that there should be forecasts."""
    await store(database.owner_url, TICKS)
    health = await read(database)
    assert (health["status"], health["forecasts"], health["predictor"]) == ("ok", {}, None)


async def test_all_is_well(database: Database, scribe: Scribe) -> None:
    """With what it is judged by."""
    await scribe.forecast(TICKS[-1])
    await scribe.tell(None)
    await scribe.live(SYMBOL)
    health = await read(database)
    assert health["status"] == "ok"
    forecast = health["forecasts"][SYMBOL]
    assert 2 <= forecast.pop("age_seconds") < 10
    assert forecast.pop("model_age_seconds") > 0
    assert forecast == {
        "made_at": text(MADE_AT),
        "predicted": True,
        "stale": False,
        "reason": None,
        "model_version": MODEL.version,
        "registry_reason": None,
        "next_training_at": text(START + DAY),
    }
    predictor = health["predictor"]
    assert (predictor["stale"], predictor["instances"], predictor["details"]) == (False, 1, {"symbols": [SYMBOL]})


async def test_no_forecast_yet_degrades_it(database: Database, scribe: Scribe) -> None:
    """With the predictor's reason, or until it gives one, none of its own."""
    await scribe.live(SYMBOL)
    health = await read(database)
    assert (health["status"], health["forecasts"][SYMBOL]["stale"]) == ("degraded", True)
    await scribe.tell("BTCUSDT has no model yet.", registry_reason="The model registry does not answer.")
    forecast = (await read(database))["forecasts"][SYMBOL]
    assert forecast["reason"] == "BTCUSDT has no model yet."
    assert forecast["registry_reason"] == "The model registry does not answer."


async def test_an_expired_forecast_degrades_it(database: Database, scribe: Scribe) -> None:
    """Though the predictor lives."""
    await scribe.forecast(TICKS[-1])
    await scribe.tell("The newest minute is missing.")
    await scribe.live(SYMBOL)
    await scribe.set_time(MADE_AT + timedelta(seconds=91))
    health = await read(database)
    forecast = health["forecasts"][SYMBOL]
    assert (health["status"], health["ticks"][SYMBOL]["stale"]) == ("degraded", False)
    assert (forecast["stale"], forecast["reason"]) == (True, "The newest minute is missing.")


async def test_a_dead_predictor_degrades_it(database: Database, scribe: Scribe) -> None:
    """What it was to forecast is still expected."""
    await scribe.tell(None, silent_for=200)
    await scribe.live(SYMBOL, silent_for=200)
    health = await read(database)
    assert (health["status"], health["predictor"]["stale"], health["predictor"]["instances"]) == ("degraded", True, 0)
    forecast = health["forecasts"][SYMBOL]
    assert (forecast["predicted"], forecast["stale"], forecast["next_training_at"]) == (True, True, None)
    assert forecast["reason"].startswith("The predictor has said nothing of BTCUSDT since")


async def test_a_symbol_that_is_no_longer_forecast_is_not_stale(database: Database, scribe: Scribe) -> None:
    """Its forecasts have ended: that is no trouble."""
    await scribe.forecast(TICKS[-1])
    await scribe.tell(None)
    await scribe.tell("Long ago.", symbol="ETHUSDT", silent_for=3_600)
    await scribe.live("ETHUSDT", SYMBOL, silent_for=3_600)
    await scribe.live(SYMBOL)
    health = await read(database)
    gone = health["forecasts"]["ETHUSDT"]
    assert (health["status"], gone["predicted"], gone["stale"]) == ("ok", False, False)


async def test_predictors_may_share_the_symbols(database: Database, scribe: Scribe) -> None:
    """What any of those that live forecasts is expected."""
    await scribe.forecast(TICKS[-1])
    await scribe.live(SYMBOL)
    await scribe.live("ETHUSDT")
    health = await read(database)
    assert (health["status"], health["predictor"]["instances"]) == ("degraded", 2)
    assert {symbol: each["stale"] for symbol, each in health["forecasts"].items()} == {"ETHUSDT": True, SYMBOL: False}
