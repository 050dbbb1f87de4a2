"""What the database itself holds the predictor to."""

from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from predictor.queries.forecasts import insert_forecast, select_forecast
from predictor.queries.models import Promotion, adopt_model, upsert_model
from shared.database.connection import Connection
from tests.collecting import connected
from tests.integration.predictor_record import NOON, SYMBOL, forecast, model_info, set_exchange_time
from tests.postgres import Database

FORECAST = """
    INSERT INTO forecasts (
        symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, levels, lower_bounds,
        upper_bounds, volatility, probability_up, model_version
    )
    VALUES (
        'BTCUSDT', $1, 5, $1::timestamptz + interval '5 minutes', $1::timestamptz + interval '90 seconds', 100, 100,
        '{50,80,95}', '{99,98,97}', '{101,102,103}', 0.01, 0.5, 1
    )
"""
PREDICTOR_MAY_NOT = (
    "UPDATE forecasts SET point = 1",
    "UPDATE forecasts SET created_at = now() - interval '1 day'",
    "DELETE FROM forecasts",
    "TRUNCATE forecasts",
    "INSERT INTO forecasts (symbol, created_at) VALUES ('BTCUSDT', now() - interval '1 day')",
    "ALTER TABLE forecasts DISABLE TRIGGER ALL",
    "DELETE FROM forecast_scores",
    "DELETE FROM models",
    "UPDATE trainings SET reason = ''",
    "DELETE FROM trainings",
    "INSERT INTO heartbeats VALUES ('collector', 'me', now(), now(), true)",
    "INSERT INTO exchange_clocks VALUES ('binance', now(), now())",
    "UPDATE exchange_clocks SET exchange_time = now()",
)
READABLE = ("models", "trainings", "forecasts", "forecast_scores", "predictor_status")


@pytest.mark.parametrize("statement", PREDICTOR_MAY_NOT)
async def test_predictor_cannot_change_what_it_said(database: Database, statement: str) -> None:
    """Nor date it back, nor tell the exchange's time, by which a forecast is late or not."""
    async with connected(database.predictor_url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_predictor_speaks_in_heartbeats_for_itself_alone(database: Database) -> None:
    """It sees the collector's row, and can neither change nor remove it."""
    async with connected(database.owner_url) as owner, connected(database.predictor_url) as connection:
        await owner.execute("INSERT INTO heartbeats VALUES ('collector', 'its', now(), now(), true)")
        await connection.execute("INSERT INTO heartbeats VALUES ('predictor', 'me', now(), now(), false)")
        assert await connection.execute("UPDATE heartbeats SET is_leader = true") == "UPDATE 1"
        assert await connection.execute("DELETE FROM heartbeats") == "DELETE 1"
        assert await connection.fetchval("SELECT instance FROM heartbeats") == "its"


@pytest.mark.parametrize("role", ["api", "predictor"])
async def test_forecasts_are_read_by_those_who_serve_them(database: Database, role: str) -> None:
    """And the API writes none of it."""
    async with connected(database.url(role)) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        for table in READABLE:
            await connection.execute(f"SELECT * FROM {table}")
        if role == "api":
            for table in (*READABLE, "forecasts_due"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"INSERT INTO {table} DEFAULT VALUES")


async def test_collector_has_nothing_to_do_with_forecasts(database: Database) -> None:
    """It cannot even read them."""
    async with connected(database.collector_url) as connection:
        for table in (*READABLE, "forecasts_due"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT FROM {table}")


@pytest.mark.parametrize(("late_seconds", "is_refused"), [(-1, True), (0, True), (5, False)])
async def test_forecast_after_its_target_is_refused(database: Database, late_seconds: int, is_refused: bool) -> None:
    """By the exchange's clock, and for the owner too."""
    async with connected(database.owner_url) as owner:
        await adopt_model(Connection(owner), model_info())
        await set_exchange_time(owner, NOON + timedelta(minutes=5, seconds=-late_seconds))
        if is_refused:
            with pytest.raises(asyncpg.CheckViolationError, match="after its target"):
                await owner.execute(FORECAST, NOON)
        else:
            await owner.execute(FORECAST, NOON)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("made_at", "made_at + interval '1 second'"),
        ("target_time", "target_time + interval '1 minute'"),
        ("horizon_minutes", "0"),
        ("expires_at", "made_at"),
        ("lower_bounds", "'{97.5,98,97}'"),
        ("lower_bounds", "'{99,98,0}'"),
        ("lower_bounds", "'{102,98,97}'"),
        ("lower_bounds", "'{99,98}'"),
        ("lower_bounds", "'{99,98,NULL}'"),
        ("lower_bounds", "'{99,98,97,96}'"),
        ("lower_bounds", "'{}'"),
        ("upper_bounds", "'{101,104,103}'"),
        ("upper_bounds", "'{101,102,NaN}'"),
        ("upper_bounds", "'{NaN,NaN,NaN}'"),
        ("upper_bounds", "'{101,102,Infinity}'"),
        ("upper_bounds", "'{101,102,1e300}'"),
        ("upper_bounds", "'{NULL,102,103}'"),
        ("upper_bounds", "'[0:2]={101,102,103}'"),
        ("levels", "'{80,50,95}'"),
        ("levels", "'{50,50,95}'"),
        ("levels", "'{0,80,95}'"),
        ("levels", "'{50,80,100}'"),
        ("levels", "'{50,NULL,95}'"),
        ("levels", "'{50,80}'"),
        ("levels", "'{{50,80,95}}'"),
        ("levels", "'{}', lower_bounds = '{}', upper_bounds = '{}'"),
        ("levels", "NULL, lower_bounds = NULL, upper_bounds = NULL"),
        ("point", "'NaN'"),
        ("point", "-1"),
        ("base_price", "0"),
        ("volatility", "'NaN'"),
        ("volatility", "'Infinity'"),
        ("volatility", "0"),
        ("probability_up", "1.1"),
        ("probability_up", "'NaN'"),
        ("model_version", "2"),
    ],
)
async def test_malformed_forecast_is_refused(database: Database, column: str, value: str) -> None:
    """A forecast that could not be scored or served, or of a model that nobody knows."""
    async with connected(database.owner_url) as owner:
        await adopt_model(Connection(owner), model_info())
        await set_exchange_time(owner, NOON)
        await owner.execute(FORECAST, NOON)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute(f"UPDATE forecasts SET {column} = {value}")


async def test_two_predictors_write_a_forecast_once(database: Database) -> None:
    """The first one's stays, whatever the second has to say; and it is due to be scored once."""
    async with connected(database.owner_url) as owner, connected(database.predictor_url) as connection:
        await set_exchange_time(owner, NOON)
        await adopt_model(Connection(connection), model_info())
        assert await insert_forecast(Connection(connection), forecast(NOON, (1, 5))) == [1, 5]
        assert await insert_forecast(Connection(connection), forecast(NOON, (1, 5, 15), "70000.00")) == [15]
        stored = await select_forecast(Connection(connection), SYMBOL, NOON)
        assert stored is not None
        assert [row.point for row in stored.rows] == [Decimal(60_000), Decimal(60_000), Decimal(70_000)]
        assert await connection.fetchval("SELECT count(*) FROM forecasts_due") == 3


async def test_horizon_whose_target_is_all_but_there_is_left_out(database: Database) -> None:
    """The others are written; nothing is an error."""
    async with connected(database.owner_url) as owner, connected(database.predictor_url) as connection:
        await set_exchange_time(owner, NOON + timedelta(seconds=59.5))
        await adopt_model(Connection(connection), model_info())
        assert await insert_forecast(Connection(connection), forecast(NOON, (1, 5))) == [5]


async def test_training_s_word_on_a_model_stands_whoever_comes_first(database: Database) -> None:
    """The service may see the alias move before the training has written its row."""
    promotion = Promotion(was_promoted=True, reason="better by 3 %", metrics={"qlike.h60": 0.9})
    async with connected(database.predictor_url) as connection:
        for adopts_first in (True, False):
            info = model_info(version=1 + adopts_first)
            if adopts_first:
                await adopt_model(Connection(connection), info)
            await upsert_model(Connection(connection), info, promotion)
            await adopt_model(Connection(connection), info)
            row = await connection.fetchrow("SELECT * FROM models WHERE version = $1", info.version)
            assert row is not None
            assert (row["decision"], row["run_id"], row["metrics"]) == (
                "better by 3 %",
                info.run_id,
                '{"qlike.h60": 0.9}',
            )
            assert row["promoted_at"] is not None


async def test_emptied_registry_s_versions_give_way(database: Database) -> None:
    """Its new model 1 is another than the old."""
    async with connected(database.predictor_url) as connection:
        await adopt_model(Connection(connection), model_info())
        await adopt_model(Connection(connection), model_info(run_id="another"))
        assert await connection.fetchval("SELECT run_id FROM models WHERE version = 1") == "another"


async def test_model_taken_back_by_hand_is_known_to_serve(database: Database) -> None:
    """One that the gate had not promoted has a date from when it serves."""
    async with connected(database.predictor_url) as connection:
        await upsert_model(
            Connection(connection), model_info(), Promotion(was_promoted=False, reason="no better", metrics={})
        )
        assert await connection.fetchval("SELECT promoted_at FROM models") is None
        await adopt_model(Connection(connection), model_info())
        assert await connection.fetchval("SELECT promoted_at FROM models") is not None
        assert await connection.fetchval("SELECT decision FROM models") == "no better"
