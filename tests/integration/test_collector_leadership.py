"""Who may write: one leads, the others stand by, and a leader that was away finds out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from collector.exchange import open_exchange
from collector.klines import Label
from collector.leadership import (
    APPLICATION_PREFIX,
    LEASE_SECONDS,
    RENEW_SECONDS,
    acquire,
    is_led,
    keep_renewing,
    release,
)
from collector.store import upsert_klines
from collector.worker import POOL_SIZE, Worker
from shared.database.driver import Pool, translated
from shared.errors import DatabaseUnavailableError, LeadershipLostError
from simulator.clock import RunningClock
from simulator.server import Simulator, running
from tests.collecting import collecting, collector_settings, connected, eventually
from tests.klines import kline
from tests.postgres import Database
from tests.simulated import NOON

EXPIRE = f"UPDATE leadership SET renewed_at = renewed_at - interval '{LEASE_SECONDS + 1} seconds'"


async def test_of_many_that_want_the_lease_at_once_one_gets_it(database: Database) -> None:
    """The first time and whenever it has run out; each change raises the epoch."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connected(database.collector_url)) for _ in range(6)]
        for turn in range(1, 4):
            epochs = await asyncio.gather(
                *(acquire(connection, f"{turn}-{number}") for number, connection in enumerate(connections))
            )
            assert [epoch for epoch in epochs if epoch is not None] == [turn]
            await connections[0].execute(EXPIRE)


async def test_lease_is_kept_from_others_and_taken_again_by_its_own_holder(database: Database) -> None:
    """After a lost connection the same process need not wait for its own lease to run out."""
    async with connected(database.collector_url) as one, connected(database.collector_url) as other:
        assert await acquire(one, "one") == 1
        assert await acquire(other, "other") is None
        assert await is_led(other)
        assert await acquire(other, "one") == 2
        assert await acquire(one, "other") is None
        await other.execute(EXPIRE)
        assert not await is_led(other)
        assert await acquire(one, "other") == 3


async def test_released_lease_is_free_at_once(database: Database) -> None:
    """And only the epoch that holds it can release it."""
    async with connected(database.collector_url) as connection:
        assert await acquire(connection, "one") == 1
        await release(database.collector_url, 7)
        assert await acquire(connection, "other") is None
        await release(database.collector_url, 1)
        assert await acquire(connection, "other") == 2


async def test_successor_ends_what_a_paused_leader_left_open(database: Database) -> None:
    """A transaction that holds the very row: it is cut off, stores nothing, and the paused one notices."""
    settings = {"application_name": APPLICATION_PREFIX + "paused"}
    paused = await asyncpg.connect(database.collector_url, server_settings=settings)
    epoch = await acquire(paused, "paused")
    assert epoch is not None
    await paused.execute(EXPIRE)
    transaction = paused.transaction()
    await transaction.start()
    await upsert_klines(paused, Label("BTCUSDT", "test", epoch), [kline(0)])
    async with connected(database.collector_url) as successor, asyncio.timeout(10):
        assert await acquire(successor, "successor") == epoch + 1
        with pytest.raises(DatabaseUnavailableError), translated():
            await transaction.commit()
        assert await successor.fetchval("SELECT count(*) FROM ticks") == 0
    paused.terminate()


async def test_renewing_ends_when_another_leads(database: Database) -> None:
    """With the error that ends the leadership."""
    async with connected(database.collector_url) as connection:
        assert await acquire(connection, "one") == 1
        await connection.execute("UPDATE leadership SET epoch = 2, holder = 'other'")
        async with asyncio.timeout(10):
            with pytest.raises(LeadershipLostError, match="taken over"):
                await keep_renewing(connection, 1, asyncio.Event())


async def test_lease_is_renewed_while_every_connection_is_at_work(database: Database) -> None:
    """It has one of its own, so that a slow write cannot cost the leadership."""
    stop = asyncio.Event()
    renewed = "SELECT renewed_at > $1 FROM leadership WHERE epoch = $2"

    async def job(pool: Pool, epoch: int) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(POOL_SIZE):
                connection = await stack.enter_async_context(pool.acquire())
            began = await connection.fetchval("SELECT clock_timestamp()")

            async def is_renewed() -> bool:
                return bool(await connection.fetchval(renewed, began, epoch))

            await eventually(is_renewed, 3 * RENEW_SECONDS)

    async with simulated() as url:
        settings = collector_settings(database, url)
        async with open_exchange(settings, stop) as exchange, asyncio.timeout(20):
            await Worker(settings, exchange, stop).run(job)


@asynccontextmanager
async def simulated() -> AsyncIterator[str]:
    """A simulated exchange whose time runs."""
    async with running(Simulator(clock=RunningClock(NOON))) as url:
        yield url


async def test_of_two_collectors_one_leads_and_the_other_takes_over_when_it_stops(database: Database) -> None:
    """A leader that stops in order gives the lease up, so that nobody waits for it to run out."""
    async with simulated() as url, connected(database.owner_url) as owner:
        settings = collector_settings(database, url, backfill_since="5m")

        async def leaders() -> list[str]:
            rows = await owner.fetch(
                "SELECT instance FROM heartbeats WHERE is_leader AND beat_at > clock_timestamp() - interval '7 seconds'"
            )
            return [row["instance"] for row in rows]

        async with collecting(settings) as second_to_be, collecting(settings) as other:

            async def both_beat() -> bool:
                return bool(await owner.fetchval("SELECT count(*) = 2 FROM heartbeats"))

            await eventually(both_beat)
            (leader,) = await leaders()
            assert leader in {second_to_be.heartbeat.instance, other.heartbeat.instance}
            standby = second_to_be if leader == other.heartbeat.instance else other
            assert standby.counts.inserted == 0
            (other if leader == other.heartbeat.instance else second_to_be).stop.set()

            async def taken_over() -> bool:
                holder = await owner.fetchval("SELECT holder FROM leadership")
                return bool(holder == standby.heartbeat.instance)

            await eventually(taken_over, LEASE_SECONDS / 2)
