"""The predictor at work: a forecast a minute, or the reason why not; and what goes on while something is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from predictor.settings import PredictorSettings
from shared.feature_table import FEATURE_VERSION
from shared.instant import MINUTE, to_text
from tests.collecting import connected, eventually
from tests.integration.predictor_record import (
    NOON,
    SYMBOL,
    model_info,
    prices,
    set_exchange_time,
    store_minutes,
    trained_just_now,
)
from tests.integration.predictor_service import (
    StandInRegistry,
    SteadyForecaster,
    make_champions,
    predicting,
    predictor_settings,
)
from tests.integration.tcp_proxy import proxying
from tests.postgres import AnyConnection, Database, OwnPostgres

HISTORY = prices(120)


@dataclass(frozen=True)
class Stage:
    """A record up to noon, a champion, and the settings of a predictor of both."""

    owner: AnyConnection
    settings: PredictorSettings
    registry: StandInRegistry

    async def status(self) -> dict[str, Any]:
        """What the predictor says of itself."""
        row = await self.owner.fetchrow("SELECT * FROM predictor_status")
        return dict(row) if row else {}

    async def count(self, minute: int = 0) -> int:
        """How many horizons are forecast of the minute that closed so many after noon."""
        found: int = await self.owner.fetchval(
            "SELECT count(*) FROM forecasts WHERE made_at = $1", NOON + minute * MINUTE
        )
        return found

    async def until_forecast(self, minute: int = 0, seconds: float = 20) -> None:
        """Wait until that minute is forecast."""

        async def is_forecast() -> bool:
            return await self.count(minute) == 2

        await eventually(is_forecast, seconds)

    async def until_reason(self, part: str) -> dict[str, Any]:
        """Wait until the predictor says why it does not forecast."""

        async def says() -> bool:
            return part in ((await self.status()).get("reason") or "")

        await eventually(says)
        return await self.status()

    async def close_minute(self, minute: int) -> None:
        """Let the minute that ends so many after noon close, and its tick come."""
        await set_exchange_time(self.owner, NOON + minute * MINUTE + timedelta(seconds=1))
        await store_minutes(self.owner, NOON + (minute - 1) * MINUTE, [HISTORY[-1] + minute])


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    """Two hours up to noon, one second after it; the champion is there and no training is due."""
    async with connected(database.owner_url) as owner:
        await set_exchange_time(owner, NOON + timedelta(seconds=1))
        await store_minutes(owner, NOON - len(HISTORY) * MINUTE, HISTORY)
        await trained_just_now(owner)
        registry = StandInRegistry()
        registry.promote(model_info(), b"20")
        yield Stage(owner, predictor_settings(database.predictor_url, tmp_path), registry)


async def test_newest_minute_is_forecast_at_the_start_and_each_one_after_it(stage: Stage) -> None:
    """One row a horizon, from the record up to that minute, rounded as the symbol's prices are."""
    async with predicting(stage.settings, stage.registry) as champions:
        await stage.until_forecast()
        await stage.close_minute(1)
        await stage.until_forecast(1)
        champion = champions.get(SYMBOL)
    assert champion is not None
    assert isinstance(champion.forecaster, SteadyForecaster)
    assert [len(bars) for bars in champion.forecaster.seen] == [120, 121]
    rows = await stage.owner.fetch("SELECT * FROM forecasts WHERE made_at = $1 ORDER BY horizon_minutes", NOON)
    assert [row["horizon_minutes"] for row in rows] == [1, 5]
    for row in rows:
        assert row["base_price"] == row["point"] == HISTORY[-1]
        assert (row["lower_bounds"][1], row["upper_bounds"][1]) == (HISTORY[-1] - 20, HISTORY[-1] + 20)
        assert row["expires_at"] == NOON + timedelta(seconds=90)
        assert row["lower_bounds"][0].as_tuple().exponent == -2
        assert row["model_version"] == 1
    status = await stage.status()
    assert (status["forecasts"], status["reason"], status["made_at"]) == (True, None, NOON + MINUTE)
    assert (status["model_version"], status["registry_reason"]) == (1, None)


async def test_scores_follow(stage: Stage) -> None:
    """Once a target's minutes are there."""
    async with predicting(stage.settings, stage.registry):
        await stage.until_forecast()
        await stage.close_minute(1)

        async def is_scored() -> bool:
            return bool(await stage.owner.fetchval("SELECT count(*) FROM forecast_scores") == 1)

        await eventually(is_scored)
    assert await stage.owner.fetchval("SELECT absolute_error FROM forecast_scores") == Decimal(1)


async def test_two_predictors_do_no_harm(stage: Stage, tmp_path: Path) -> None:
    """Each minute has one forecast a horizon, whoever wrote it, and both are well."""
    other = stage.settings.model_copy(update={"cache": tmp_path / "other"})
    async with AsyncExitStack() as stack:
        for settings in (stage.settings, other):
            await stack.enter_async_context(predicting(settings, stage.registry))
        await stage.until_forecast()
        for minute in (1, 2, 3):
            await stage.close_minute(minute)
            await stage.until_forecast(minute)
    assert await stage.owner.fetchval("SELECT count(*) FROM forecasts") == 8
    assert await stage.owner.fetchval("SELECT count(*) FROM heartbeats WHERE service = 'predictor'") == 2
    assert (await stage.status())["forecasts"] is True


async def test_stale_record_has_no_forecast_but_a_reason(stage: Stage) -> None:
    """The newest minute is missing for so long that a forecast would have expired; it goes on with the next one."""
    await set_exchange_time(stage.owner, NOON + timedelta(seconds=91))
    async with predicting(stage.settings, stage.registry):
        status = await stage.until_reason(f"closed at {to_text(NOON)}")
        assert (status["forecasts"], status["made_at"]) == (False, None)
        await stage.close_minute(3)
        await stage.until_forecast(3)
    assert await stage.owner.fetchval("SELECT count(*) FROM forecasts") == 2


async def test_empty_record_is_said(stage: Stage) -> None:
    """Before the collector's first tick."""
    await stage.owner.execute("DELETE FROM ticks")
    async with predicting(stage.settings, stage.registry):
        await stage.until_reason(f"The record has no minute of {SYMBOL} yet.")


async def test_missing_inputs_are_said_and_not_made_up_for(stage: Stage) -> None:
    """In the forecaster's own words."""
    stage.registry.promote(model_info(2), b"20")
    async with predicting(stage.settings, stage.registry) as champions:
        await stage.until_forecast()
        champion = champions.get(SYMBOL)
        assert champion is not None
        assert isinstance(champion.forecaster, SteadyForecaster)
        champion.forecaster.lacks_inputs = True
        await stage.close_minute(1)
        status = await stage.until_reason("The last hour is not whole.")
        assert status["made_at"] == NOON
        champion.forecaster.lacks_inputs = False
        await stage.close_minute(2)
        await stage.until_forecast(2)
    assert await stage.count(1) == 0


async def test_model_that_fails_does_not_end_the_service(stage: Stage) -> None:
    """The fault is logged and said; the next champion does better."""
    stage.registry.promote(model_info(), b"-1")
    async with predicting(stage.settings, stage.registry) as champions:
        await stage.until_reason("failed by a fault of the program")
        stage.registry.promote(model_info(2), b"20")
        await champions.update()
        await stage.until_forecast()


async def test_champion_that_cannot_be_read_is_fetched_once_and_then_to_be_replaced(stage: Stage) -> None:
    """Whoever serves goes on, and the registry is not taken to be away."""
    async with predicting(stage.settings, stage.registry) as champions:
        await stage.until_forecast()
        stage.registry.promote(model_info(2), b"no number")
        for _ in range(2):
            await champions.update()
        assert stage.registry.fetched == 2
        assert champions.has_none(SYMBOL)
        assert champions.registry_reason is None
        await stage.close_minute(1)
        await stage.until_forecast(1)
        stage.registry.promote(model_info(3), b"20")
        await champions.update()
        assert not champions.has_none(SYMBOL)
        await stage.close_minute(2)
        await stage.until_forecast(2)
    rows = await stage.owner.fetch("SELECT DISTINCT made_at, model_version FROM forecasts ORDER BY made_at")
    assert [row["model_version"] for row in rows] == [1, 1, 3]


@pytest.mark.parametrize("changes", [{"feature_version": FEATURE_VERSION + 1}, {"horizons": (1, 5, 15)}])
async def test_champion_of_other_features_or_horizons_is_to_be_replaced(stage: Stage, changes: dict[str, Any]) -> None:
    """One of other horizons serves meanwhile; one of other features cannot."""
    stage.registry.promote(replace(model_info(), **changes), b"20")
    champions = make_champions(stage.settings, stage.registry)
    await champions.update()
    assert champions.has_none(SYMBOL)
    assert (champions.get(SYMBOL) is not None) == ("horizons" in changes)


async def test_registry_away_leaves_the_cached_champion_at_work(stage: Stage) -> None:
    """After a restart too, with the model's version and why the registry cannot be asked."""
    async with predicting(stage.settings, stage.registry):
        await stage.until_forecast()
    stage.registry.is_away = True
    async with predicting(stage.settings, stage.registry):
        await stage.close_minute(1)
        await stage.until_forecast(1)

        async def is_said() -> bool:
            return bool((await stage.status())["registry_reason"] == "The model registry does not answer.")

        await eventually(is_said)
    status = await stage.status()
    assert (status["forecasts"], status["model_version"]) == (True, 1)
    assert stage.registry.fetched == 1


async def test_hanging_registry_holds_up_neither_forecasts_nor_the_stop(stage: Stage) -> None:
    """It is asked from a thread that is left alone with it."""
    async with predicting(stage.settings, stage.registry):
        await stage.until_forecast()
    stage.registry.answers.clear()
    async with asyncio.timeout(10):
        async with predicting(stage.settings, stage.registry):
            await stage.close_minute(1)
            await stage.until_forecast(1)
    stage.registry.answers.set()


async def test_new_champion_is_taken_up_without_a_restart(stage: Stage) -> None:
    """And the next start begins with it, whether or not the registry answers."""
    async with predicting(stage.settings, stage.registry) as champions:
        await stage.until_forecast()
        stage.registry.promote(model_info(2), b"30")
        await champions.update()
        await stage.close_minute(1)
        await stage.until_forecast(1)
    stage.registry.is_away = True
    async with predicting(stage.settings, stage.registry):
        await stage.close_minute(2)
        await stage.until_forecast(2)
    rows = await stage.owner.fetch("SELECT DISTINCT made_at, model_version FROM forecasts ORDER BY made_at")
    assert [row["model_version"] for row in rows] == [1, 2, 2]


async def test_no_model_is_said_with_what_stands_in_its_way(stage: Stage) -> None:
    """The registry's absence, here."""
    stage.registry.is_away = True
    async with predicting(stage.settings, stage.registry):
        status = await stage.until_reason("The model registry does not answer.")
    assert (status["forecasts"], status["model_version"]) == (False, None)


async def test_notification_that_is_lost_costs_no_forecast(stage: Stage) -> None:
    """The record is looked at every second in any case."""
    async with predicting(stage.settings, stage.registry):
        await stage.until_forecast()
        await stage.owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'"
        )
        await stage.close_minute(1)
        await stage.until_forecast(1)


async def test_postgres_that_hangs_is_outlasted(stage: Stage, database: Database) -> None:
    """The service goes on when it answers again, without a restart."""
    async with proxying(database.predictor_url) as (proxy, url):
        settings = stage.settings.model_copy(update={"database_url": predictor_settings(url, Path()).database_url})
        async with predicting(settings, stage.registry):
            await stage.until_forecast()
            proxy.hold()
            await asyncio.wait_for(proxy.holds_something.wait(), 10)
            proxy.resume()
            await stage.close_minute(1)
            await stage.until_forecast(1)
            await proxy.refuse()
            await proxy.open()
            await stage.close_minute(2)
            await stage.until_forecast(2)


async def test_killed_postgres_is_outlasted(crashable_postgres: OwnPostgres, tmp_path: Path) -> None:
    """Forecasts go on within 5 seconds of its return, without a restart of the predictor."""
    registry = StandInRegistry()
    registry.promote(model_info(), b"20")
    url = crashable_postgres.database.owner_url
    settings = predictor_settings(crashable_postgres.database.predictor_url, tmp_path)
    async with connected(url) as owner:
        await set_exchange_time(owner, NOON + timedelta(seconds=1))
        await store_minutes(owner, NOON - len(HISTORY) * MINUTE, HISTORY)
        await trained_just_now(owner)
    async with predicting(settings, registry):
        async with connected(url) as owner:
            await Stage(owner, settings, registry).until_forecast()
        await crashable_postgres.crash()
        await crashable_postgres.start()
        async with connected(url) as owner:
            stage = Stage(owner, settings, registry)
            await stage.close_minute(1)
            await stage.until_forecast(1, 5)


async def test_stop_does_not_wait_for_a_postgres_that_hangs(stage: Stage, database: Database) -> None:
    """Within the 10 seconds that SIGTERM allows."""
    async with proxying(database.predictor_url) as (proxy, url):
        settings = stage.settings.model_copy(update={"database_url": predictor_settings(url, Path()).database_url})
        async with asyncio.timeout(20):
            async with predicting(settings, stage.registry):
                await stage.until_forecast()
                proxy.hold()
                await asyncio.wait_for(proxy.holds_something.wait(), 10)
                began_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_at < 10
