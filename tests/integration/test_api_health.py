"""`/health` and the probes, while the database answers."""

from datetime import timedelta

import asyncpg

from collector.symbols import update_given_up_symbols
from shared.database.database import connect
from tests.integration.api_server import START, at, make_ticks, serving, store, text
from tests.postgres import Database

TICKS = make_ticks(10)
NOW = START + timedelta(minutes=10, seconds=5)


async def test_all_is_well(database: Database) -> None:
    """With what it is judged by."""
    await store(database.owner_url, TICKS, now=NOW)
    async with serving(database.api_url) as client:
        response = await client.get("/health")
        assert (await client.get("/health/ready")).json() == {"status": "ok"}
        assert (await client.get("/health/live")).json() == {"status": "ok"}
    health = response.json()
    assert (response.status_code, response.headers["cache-control"], health["status"]) == (200, "no-store", "ok")
    assert health["database"]["status"] == "ok"
    assert 0 < health["database"]["latency_ms"] < 1_500
    assert health["database"]["is_replica"] is False
    tick = health["ticks"]["BTCUSDT"]
    assert (tick["timestamp"], tick["stale"]) == (text(TICKS[-1].minute), False)
    assert 5 <= tick["age_seconds"] < 20
    collector = health["collector"]
    assert (collector["instance"], collector["is_leader"], collector["stale"]) == ("test-1", True, False)
    assert (collector["exchange_time"], collector["instances"], collector["details"]) == (text(NOW), 1, {})
    assert 0 <= collector["age_seconds"] < 20


async def test_the_collector_s_clock_is_that_of_the_default_symbol_s_source(database: Database) -> None:
    """Whichever of two shows a later time."""
    await store(database.owner_url, TICKS, now=NOW)
    await store(database.owner_url, [], symbol="coinbase:BTC-USD", since=START, now=NOW)
    async with connect(database.owner_url, "test") as owner, serving(database.api_url) as client:
        for ahead in (timedelta(hours=1), timedelta(hours=-1)):
            await owner.execute(
                """
                INSERT INTO exchange_clocks (source, exchange_time, told_at)
                VALUES ('coinbase', $1, clock_timestamp())
                ON CONFLICT (source) DO UPDATE SET exchange_time = excluded.exchange_time
                """,
                NOW + ahead,
            )
            assert (await client.get("/health")).json()["collector"]["exchange_time"] == text(NOW)
        await owner.execute("UPDATE collected_symbols SET position = 1 - position")
        collector = (await client.get("/health")).json()["collector"]
    assert collector["exchange_time"] == text(NOW - timedelta(hours=1))


async def test_old_ticks_degrade_it(database: Database) -> None:
    """Still 200: what is stored is served."""
    await store(database.owner_url, TICKS, now=NOW + timedelta(minutes=2))
    async with serving(database.api_url) as client:
        response = await client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["ticks"]["BTCUSDT"]["stale"] is True


async def test_a_symbol_without_ticks_degrades_it(database: Database) -> None:
    """It is named all the same."""
    await store(database.owner_url, TICKS, now=NOW)
    await store(database.owner_url, [], symbol="ETHUSDT", since=START, now=NOW)
    async with serving(database.api_url) as client:
        health = (await client.get("/health")).json()
    assert health["status"] == "degraded"
    assert health["ticks"]["ETHUSDT"] == {"timestamp": None, "age_seconds": None, "collected": True, "stale": True}


async def test_a_symbol_that_is_no_longer_collected_is_not_stale(database: Database) -> None:
    """Its record has ended: that is no trouble, and it is nobody's default, but still there to be read."""
    gone = "AAAUSDT"
    await store(database.owner_url, TICKS[:3], symbol=gone, now=NOW)
    await store(database.owner_url, TICKS, now=NOW + timedelta(minutes=1))
    async with connect(database.owner_url, "test") as connection:
        await update_given_up_symbols(connection, ["BTCUSDT"])
    async with serving(database.api_url) as client:
        health = (await client.get("/health")).json()
        assert (await client.get("/price/latest")).json()["symbol"] == "BTCUSDT"
        latest = (await client.get(f"/price/latest?symbol={gone}")).json()
        gaps = (await client.get(f"/price/gaps?symbol={gone}")).json()
        stats = (await client.get(f"/price/stats?symbol={gone}&start={at(0)}&end={at(8)}")).json()
        history = (await client.get(f"/price/history?symbol={gone}&start={at(0)}&end={at(8)}")).json()
    assert health["status"] == "ok"
    assert (health["ticks"][gone]["collected"], health["ticks"][gone]["stale"]) == (False, False)
    # Whoever asks for it by name is told that it is old.
    assert (latest["timestamp"], latest["stale"]) == (text(TICKS[2].minute), True)
    assert (gaps["end"], gaps["gaps"]) == (at(3), [])
    assert (stats["count"], stats["expected"], stats["completeness"]) == (3, 3, 1)
    assert (history["count"], history["gaps"]) == (3, [])


async def test_nothing_collected_degrades_it(database: Database) -> None:
    """As when every symbol was given up."""
    await store(database.owner_url, TICKS, now=NOW)
    async with connect(database.owner_url, "test") as connection:
        await update_given_up_symbols(connection, [])
    async with serving(database.api_url) as client:
        health = (await client.get("/health")).json()
    assert (health["status"], health["ticks"]["BTCUSDT"]["stale"]) == ("degraded", False)


async def test_a_silent_collector_degrades_it(database: Database) -> None:
    """The leader is shown while it lives, else whoever gave the newest sign."""
    await store(database.owner_url, TICKS, now=NOW)
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(
        """
        INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, details)
        VALUES ('collector', 'standby-1', now(), now() + interval '1 second', false, '{"x": 1}')
        """
    )
    async with serving(database.api_url) as client:
        collector = (await client.get("/health")).json()["collector"]
        assert (collector["instance"], collector["instances"]) == ("test-1", 2)
        await connection.execute("UPDATE heartbeats SET beat_at = beat_at - interval '61 s' WHERE is_leader")
        collector = (await client.get("/health")).json()["collector"]
        assert (collector["instance"], collector["details"], collector["exchange_time"]) == (
            "standby-1",
            {"x": 1},
            None,
        )
        await connection.execute("UPDATE heartbeats SET beat_at = beat_at - interval '70 s'")
        health = (await client.get("/health")).json()
        assert (health["status"], health["collector"]["stale"]) == ("degraded", True)
        await connection.execute("DELETE FROM heartbeats")
        health = (await client.get("/health")).json()
        assert (health["status"], health["collector"]) == ("degraded", None)
    await connection.close()
