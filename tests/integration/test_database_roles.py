"""What each role may do, and that the database itself refuses the rest."""

import secrets
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.postgres import running
from deploy.local.tuning import NOT_DURABLE
from shared.database.migrate import ROLES, migrate
from tests.collecting import connected
from tests.postgres import Database, own_folder, with_database

TICK = (
    "INSERT INTO ticks (symbol, minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume,"
    " taker_quote_volume, source) VALUES ('BTCUSDT', '2024-03-05Z', 5, 9, 1, 5, 1, 5, 1, 1, 5, 'test')"
)
TABLES = (
    "ticks", "hourly_rollups", "daily_rollups", "collected_symbols", "absences", "leadership", "heartbeats",
    "exchange_clocks", "exchange_pauses",
)  # fmt: skip

COLLECTOR_MAY = (
    TICK + " ON CONFLICT (symbol, minute) DO UPDATE SET close = excluded.close, corrected_at = now()",
    "SELECT refresh_rollups('BTCUSDT', '2024-03-05Z', '2024-03-06Z')",
    "INSERT INTO collected_symbols VALUES ('BTCUSDT', 0, now()) ON CONFLICT (symbol) DO UPDATE SET position = 1",
    "INSERT INTO absences VALUES ('BTCUSDT', '2024-03-05Z', '2024-03-06Z', now(), now(), 1, now())",
    "DELETE FROM absences",
    "INSERT INTO leadership VALUES ('collector', 'me', 1, now())",
    "SELECT FROM leadership FOR NO KEY UPDATE",
    "UPDATE leadership SET epoch = 2",
    "INSERT INTO heartbeats VALUES ('collector', 'me', now(), now(), true)",
    "DELETE FROM heartbeats",
    "INSERT INTO exchange_pauses VALUES ('binance', now(), 'HTTP 429')",
    "INSERT INTO exchange_clocks VALUES ('binance', now(), now()) ON CONFLICT (source) DO UPDATE SET told_at = now()",
    "SELECT exchange_now('BTCUSDT')",
)
NOBODY_MAY = (
    "DELETE FROM ticks",
    "TRUNCATE ticks",
    "UPDATE ticks SET created_at = now()",
    "UPDATE ticks SET minute = minute + interval '1 minute'",
    "UPDATE ticks SET symbol = 'ETHUSDT'",
    "DELETE FROM hourly_rollups",
    "DELETE FROM daily_rollups",
    "DELETE FROM collected_symbols",
    "CREATE TABLE intruder (x integer)",
    "CREATE SCHEMA intruder",
    "CREATE FUNCTION intruder() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE ticks DISABLE TRIGGER ALL",
    "DROP TABLE ticks",
    "CREATE ROLE intruder",
    "COPY ticks TO PROGRAM 'cat'",
)
ONLY_COLLECTOR_MAY = (
    TICK,
    "UPDATE ticks SET close = 5",
    "SELECT refresh_rollups('BTCUSDT', '2024-03-05Z', '2024-03-06Z')",
    "INSERT INTO absences VALUES ('BTCUSDT', '2024-03-05Z', '2024-03-06Z', now(), now(), 1, now())",
    "INSERT INTO collected_symbols VALUES ('BTCUSDT', 0, now())",
    "UPDATE leadership SET epoch = 2",
    "SELECT FROM leadership",
    "INSERT INTO exchange_pauses VALUES ('binance', now(), 'HTTP 429')",
    "INSERT INTO exchange_clocks VALUES ('binance', now(), now())",
)
REFUSALS = (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)


async def test_collector_can_do_what_it_must(database: Database) -> None:
    """Every kind of statement that it sends."""
    async with connected(database.collector_url) as connection:
        for statement in COLLECTOR_MAY:
            await connection.execute(statement)
        for table in TABLES:
            await connection.execute(f"SELECT * FROM {table}")


@pytest.mark.parametrize("role", ["collector", "predictor", "api"])
async def test_nobody_may_delete_what_was_recorded_or_change_the_schema(database: Database, role: str) -> None:
    """Not even the collector: a tick's key and created_at are for ever."""
    async with connected(database.url(role)) as connection:
        for statement in NOBODY_MAY:
            with pytest.raises(REFUSALS):
                await connection.execute(statement)


@pytest.mark.parametrize("role", ["predictor", "api"])
async def test_others_read_the_record_and_write_nothing_of_it(database: Database, role: str) -> None:
    """Also when they switch read-only off for themselves."""
    async with connected(database.url(role)) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        for statement in ONLY_COLLECTOR_MAY:
            with pytest.raises(REFUSALS):
                await connection.execute(statement)
        for table in ("ticks", "hourly_rollups", "daily_rollups", "collected_symbols", "absences", "heartbeats"):
            await connection.execute(f"SELECT * FROM {table}")
        await connection.execute("SELECT exchange_now()")


async def test_api_is_read_only_by_default(database: Database) -> None:
    """Before any right is asked for."""
    async with connected(database.api_url) as connection:
        assert await connection.fetchval("SHOW transaction_read_only") == "on"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute(TICK)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("high", "'NaN'"),
        ("high", "'Infinity'"),
        ("high", "4"),
        ("low", "0"),
        ("low", "-1"),
        ("low", "6"),
        ("close", "10"),
        ("volume", "-1"),
        ("volume", "'NaN'"),
        ("quote_volume", "1e300"),
        ("trades", "-1"),
        ("trades", "1000000000000000"),
        ("taker_base_volume", "'Infinity'"),
        ("taker_quote_volume", "-0.1"),
        ("minute", "'2024-03-05T00:00:14.8Z'"),
        ("open", "NULL"),
    ],
)
async def test_database_refuses_a_malformed_tick_itself(database: Database, column: str, value: str) -> None:
    """The same that the collector refuses, for the owner too."""
    async with connected(database.owner_url) as owner:
        await owner.execute(TICK)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute(f"UPDATE ticks SET {column} = {value}")


async def test_each_exchange_has_its_own_clock(database: Database) -> None:
    """It runs on since it was told; before that, and where it was told in the future, the database's own counts."""
    async with connected(database.collector_url) as connection:

        async def hours_ahead(symbol: str | None) -> float:
            seconds = await connection.fetchval(
                "SELECT extract(epoch FROM exchange_now($1) - clock_timestamp())", symbol
            )
            return round(float(seconds) / 3600, 2)

        async def tell(source: str, ago: str, ahead: str) -> None:
            await connection.execute(
                """
                INSERT INTO exchange_clocks (source, exchange_time, told_at)
                VALUES ($1, clock_timestamp() - $2::text::interval + $3::text::interval,
                        clock_timestamp() - $2::text::interval)
                ON CONFLICT (source) DO UPDATE
                SET exchange_time = excluded.exchange_time, told_at = excluded.told_at
                """,
                source,
                ago,
                ahead,
            )

        assert await hours_ahead("BTCUSDT") == 0
        await tell("binance", "1 minute", "7 hours")
        await tell("coinbase", "2 minutes", "-3 hours")
        assert [await hours_ahead(symbol) for symbol in ("BTCUSDT", None, "coinbase:BTC-USD")] == [7, 7, -3]
        assert await hours_ahead("kraken:XBT") == 0
        await tell("binance", "-1 minute", "7 hours")
        assert await hours_ahead("BTCUSDT") == 0


async def test_a_rollup_has_no_sum_of_what_a_minute_does_not_tell(database: Database) -> None:
    """What the source leaves out is null, and not zero; the volume is always told."""
    async with connected(database.owner_url) as owner:
        await owner.execute(TICK)
        await owner.execute(TICK.replace("2024-03-05Z", "2024-03-05 00:01Z"))
        sums = "SELECT volume, quote_volume, trades, taker_base_volume, taker_quote_volume FROM {}"
        refresh = "SELECT refresh_rollups('BTCUSDT', '2024-03-05Z', '2024-03-05 00:02Z')"
        await owner.execute(refresh)
        for table in ("hourly_rollups", "daily_rollups"):
            assert tuple(await owner.fetchrow(sums.format(table)) or ()) == (2, 10, 2, 2, 10)
        await owner.execute(
            """
            UPDATE ticks
            SET quote_volume = NULL, trades = NULL, taker_base_volume = NULL, taker_quote_volume = NULL
            WHERE minute = '2024-03-05Z'
            """
        )
        await owner.execute(refresh)
        for table in ("hourly_rollups", "daily_rollups"):
            assert tuple(await owner.fetchrow(sums.format(table)) or ()) == (2, None, None, None, None)


async def test_owner_that_migrates_need_not_be_superuser() -> None:
    """It owns the database and may make roles: hosted servers, and operators of clusters, give no more."""
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
    with own_folder() as folder:
        async with running(folder / "postgres", settings=NOT_DURABLE) as postgres:
            async with connected(postgres.url()) as connection:
                await connection.execute("CREATE ROLE landlord LOGIN CREATEROLE PASSWORD 'landlord'")
                await connection.execute("CREATE DATABASE rented OWNER landlord")
            address = urlsplit(with_database(postgres.url(), "rented"))
            owned = address._replace(netloc=f"landlord:landlord@{address.hostname}:{address.port}").geturl()
            await migrate(owned, passwords)
            # And again, with other passwords.
            passwords = {role: secrets.token_urlsafe(12) for role in ROLES}
            await migrate(owned, passwords)
            rented = Database(owned, passwords)
            async with connected(rented.collector_url) as connection:
                await connection.execute(TICK)
            async with connected(rented.api_url) as connection:
                assert await connection.fetchval("SELECT count(*) FROM ticks") == 1
                with pytest.raises(REFUSALS):
                    await connection.execute("DELETE FROM ticks")
