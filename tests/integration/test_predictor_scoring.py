"""Scores: right by another reckoning, and again when a minute comes late or is corrected."""

import itertools
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

import asyncpg
import pytest

from predictor.queries.database import open_predictor_database
from predictor.queries.forecasts import Forecast, insert_forecast
from predictor.queries.models import adopt_model
from predictor.queries.scores import upsert_scores
from shared.database.connection import Connection, DriverConnection
from shared.database.database import connect
from shared.instant import MINUTE
from shared.levels import LEVELS
from tests.collecting import connected
from tests.integration.predictor_record import (
    NOON,
    SYMBOL,
    forecast,
    model_info,
    prices,
    set_exchange_time,
    store_minutes,
)
from tests.postgres import Database

CLOSES = prices(21)
HORIZONS = (1, 5, 15)


@dataclass(frozen=True)
class Stage:
    """A forecast of noon, and the two who meet over it."""

    owner: DriverConnection
    predictor: Connection
    database: Database
    forecast: Forecast

    async def score(self) -> int:
        """One look of the predictor."""
        async with self.predictor.transaction():
            return await upsert_scores(self.predictor, SYMBOL)

    async def scores(self) -> list[asyncpg.Record]:
        """All that is scored, by horizon."""
        return await self.owner.fetch("SELECT * FROM forecast_scores ORDER BY made_at, horizon_minutes")


@pytest.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    """A forecast made at noon from the minute before, with no later minute in the record."""
    async with connected(database.owner_url) as owner, connect(database.predictor_url, "test") as predictor:
        await set_exchange_time(owner, NOON + timedelta(seconds=2))
        await store_minutes(owner, NOON - MINUTE, CLOSES[:1])
        await adopt_model(predictor, model_info())
        made = forecast(NOON, HORIZONS, str(CLOSES[0]))
        await insert_forecast(predictor, made)
        yield Stage(owner, predictor, database, made)


def reference(stage: Stage, horizon: int, closes: list[Decimal]) -> dict[str, float]:
    """The scores by the formulas as they are written in the literature, a forecast at a time."""
    row = next(row for row in stage.forecast.rows if row.horizon_minutes == horizon)
    actual = float(closes[horizon])
    variance = sum(math.log(float(b) / float(a)) ** 2 for a, b in itertools.pairwise(closes[: horizon + 1]))
    found = {
        "absolute_error": abs(actual - float(row.point)),
        "naive_absolute_error": abs(actual - float(stage.forecast.base_price)),
        "realised_variance": variance,
        "qlike": variance / row.volatility**2 - math.log(variance / row.volatility**2) - 1,
    }
    quantiles = [(0.5, float(row.point))]
    for level in LEVELS:
        lower, upper = map(float, row.intervals[level])
        alpha = 1 - level / 100
        miss = max(lower - actual, 0) + max(actual - upper, 0)
        found[f"winkler_{level}"] = upper - lower + 2 / alpha * miss
        found[f"covered_{level}"] = float(lower <= actual <= upper)
        quantiles += [(alpha / 2, lower), (1 - alpha / 2, upper)]
    losses = [q * (actual - x) if actual >= x else (1 - q) * (x - actual) for q, x in quantiles]
    return found | {"pinball": sum(losses) / len(losses)}


def assert_scored(stage: Stage, row: asyncpg.Record, closes: list[Decimal]) -> None:
    """The row is what the formulas say."""
    expected = reference(stage, row["horizon_minutes"], closes)
    found = dict(row)
    levels, covered, winkler = found.pop("levels"), found.pop("covered"), found.pop("winkler")
    assert levels == list(LEVELS)
    found |= {f"covered_{level}": value for level, value in zip(levels, covered, strict=True)}
    found |= {f"winkler_{level}": value for level, value in zip(levels, winkler, strict=True)}
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, rel=1e-9)
    assert row["actual_price"] == closes[row["horizon_minutes"]]
    assert row["target_time"] == row["made_at"] + row["horizon_minutes"] * MINUTE


async def test_scores_are_the_literature_s(stage: Stage) -> None:
    """Each horizon from the minutes up to its target, naive's error beside it."""
    await store_minutes(stage.owner, NOON, CLOSES[1:])
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=20))
    assert await stage.score() == 3
    rows = await stage.scores()
    assert [row["horizon_minutes"] for row in rows] == [1, 5, 15]
    for row in rows:
        assert_scored(stage, row, CLOSES)
        assert row["rescored_at"] is None
    assert await stage.score() == 0


async def test_only_what_came_due_is_scored(stage: Stage) -> None:
    """A target that the exchange's clock has not reached waits, its minutes there or not."""
    await store_minutes(stage.owner, NOON, CLOSES[1:])
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=4))
    assert await stage.score() == 1
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=5))
    assert await stage.score() == 1


async def test_target_beyond_a_missing_minute_is_scored_when_that_comes(stage: Stage) -> None:
    """However late."""
    await store_minutes(stage.owner, NOON, CLOSES[1:4])
    await store_minutes(stage.owner, NOON + 4 * MINUTE, CLOSES[5:])
    await set_exchange_time(stage.owner, NOON + timedelta(days=3))
    assert await stage.score() == 1
    assert await stage.score() == 0
    await store_minutes(stage.owner, NOON + 3 * MINUTE, CLOSES[4:5])
    assert await stage.score() == 2
    for row in await stage.scores():
        assert_scored(stage, row, CLOSES)


async def test_correction_scores_again_what_it_touches(stage: Stage) -> None:
    """Also of a minute inside a target, and of the one that the forecast was made from; nothing else changes."""
    await store_minutes(stage.owner, NOON, CLOSES[1:])
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=20))
    await stage.score()
    for index, touched in ((3, {5, 15}), (15, {15}), (0, {1, 5, 15})):
        before = {row["horizon_minutes"]: row for row in await stage.scores()}
        closes = list(CLOSES)
        closes[index] += Decimal("7.77")
        await store_minutes(stage.owner, NOON + (index - 1) * MINUTE, [closes[index]])
        assert await stage.score() == len(touched)
        after = {row["horizon_minutes"]: row for row in await stage.scores()}
        for horizon, row in after.items():
            if horizon in touched:
                assert_scored(stage, row, closes)
                assert row["rescored_at"] > row["scored_at"]
            else:
                assert row == before[horizon]
        assert await stage.score() == 0
        await store_minutes(stage.owner, NOON + (index - 1) * MINUTE, [CLOSES[index]])
        assert await stage.score() == len(touched)


async def test_price_that_did_not_move_has_no_qlike(stage: Stage) -> None:
    """Its logarithm has no value; every other score has."""
    await store_minutes(stage.owner, NOON, [CLOSES[0]] * 5)
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=6))
    assert await stage.score() == 2
    for row in await stage.scores():
        assert (row["realised_variance"], row["qlike"], row["absolute_error"]) == (0, None, 0)
        assert row["covered"] == [True] * len(LEVELS)


async def test_two_predictors_score_once(stage: Stage) -> None:
    """The second waits for the first, and finds nothing left."""
    await store_minutes(stage.owner, NOON, CLOSES[1:])
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=20))
    async with open_predictor_database(stage.database.predictor_url) as other:
        async with stage.predictor.transaction():
            assert await upsert_scores(stage.predictor, SYMBOL) == 3
        assert await other.write(partial(upsert_scores, symbol=SYMBOL)) == 0
    assert len(await stage.scores()) == 3


async def test_symbols_are_scored_apart(stage: Stage) -> None:
    """A minute of one is none of another."""
    await insert_forecast_of_other(stage)
    await store_minutes(stage.owner, NOON, CLOSES[1:])
    await set_exchange_time(stage.owner, NOON + timedelta(minutes=20))
    assert await stage.score() == 3
    async with stage.predictor.transaction():
        assert await upsert_scores(stage.predictor, "ETHUSDT") == 0


async def insert_forecast_of_other(stage: Stage) -> None:
    """A forecast of another symbol at the same minute."""
    await adopt_model(stage.predictor, model_info(symbol="ETHUSDT"))
    await insert_forecast(stage.predictor, forecast(NOON, HORIZONS, "2000", symbol="ETHUSDT"))
