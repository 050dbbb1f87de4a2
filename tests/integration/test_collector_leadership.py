"""Who may write: one leads, the others stand by, and a leader that was away finds out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from collector.collection import Collection
from collector.counts import Counts
from collector.leadership import (
    APPLICATION_PREFIX,
    LEASE_SECONDS,
    RENEW_SECONDS,
    acquire_lease,
    is_led,
    keep_lease,
    release_lease,
)
from collector.recorder import Recorder, open_unpacker
from collector.settings import CollectorSettings
from collector.sources.registry import open_sources
from collector.store import WriteTarget, upsert_klines
from collector.symbols import upsert_collected_symbol
from collector.worker import Worker
from shared.database.connection import Connection
from shared.database.database import Bounds, Database, connect, open_database
from shared.errors import DatabaseUnavailableError, LeadershipLostError
from shared.instant import EPOCH
from simulator.clock import RunningClock
from simulator.server import Simulator, running
from tests.collecting import collecting, collector_setup, connected, eventually
from tests.klines import kline
from tests.peculiar_exchange import Peculiar, source_at
from tests.postgres import Database as DatabaseOfTest
from tests.simulated import NOON

EXPIRE = f"UPDATE leadership SET renewed_at = renewed_at - interval '{LEASE_SECONDS + 1} seconds'"


async def test_of_many_that_want_the_lease_at_once_one_gets_it(database: DatabaseOfTest) -> None:
    """The first time and whenever it has run out; each change raises the epoch."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect(database.collector_url, "test")) for _ in range(6)]
        for turn in range(1, 4):
            epochs = await asyncio.gather(
                *(acquire_lease(connection, f"{turn}-{number}") for number, connection in enumerate(connections))
            )
            assert [epoch for epoch in epochs if epoch is not None] == [turn]
            await connections[0].execute(EXPIRE)


async def test_lease_is_kept_from_others_and_taken_again_by_its_own_holder(database: DatabaseOfTest) -> None:
    """After a lost connection the same process need not wait for its own lease to run out."""
    async with connect(database.collector_url, "test") as one, connect(database.collector_url, "test") as other:
        assert await acquire_lease(one, "one") == 1
        assert await acquire_lease(other, "other") is None
        assert await is_led(other)
        assert await acquire_lease(other, "one") == 2
        assert await acquire_lease(one, "other") is None
        await other.execute(EXPIRE)
        assert not await is_led(other)
        assert await acquire_lease(one, "other") == 3


async def test_released_lease_is_free_at_once(database: DatabaseOfTest) -> None:
    """And only the epoch that holds it can release it."""
    async with connect(database.collector_url, "test") as connection:
        assert await acquire_lease(connection, "one") == 1
        await release_lease(database.collector_url, 7)
        assert await acquire_lease(connection, "other") is None
        await release_lease(database.collector_url, 1)
        assert await acquire_lease(connection, "other") == 2


async def test_successor_ends_what_a_paused_leader_left_open(database: DatabaseOfTest) -> None:
    """A transaction that holds the very row: it is cut off, stores nothing, and the paused one notices."""
    async with (
        connect(database.collector_url, APPLICATION_PREFIX + "paused") as paused,
        connect(database.collector_url, "test") as successor,
        asyncio.timeout(10),
    ):
        epoch = await acquire_lease(paused, "paused")
        assert epoch is not None
        await paused.execute(EXPIRE)
        target = WriteTarget("BTCUSDT", "test", epoch)

        async def write_while_another_takes_over() -> None:
            async with paused.transaction():
                await upsert_klines(paused, target, [kline(EPOCH)])
                assert await acquire_lease(successor, "successor") == epoch + 1

        with pytest.raises(DatabaseUnavailableError):
            await write_while_another_takes_over()
        assert await successor.fetchval("SELECT count(*) FROM ticks") == 0


async def test_paused_leader_gives_up_no_symbol_of_its_successor(database: DatabaseOfTest) -> None:
    """Whatever it was told to collect itself: what is collected is the leader's to say."""
    settings = CollectorSettings.load(database_url=database.collector_url, symbols=("ETHUSDT",))
    async with (
        source_at(Peculiar()) as source,
        open_database(database.collector_url, "test", Bounds(2)) as opened,
        connect(database.collector_url, "test") as successor,
    ):
        epoch = await acquire_lease(successor, "paused")
        assert epoch is not None
        await successor.execute(EXPIRE)
        assert await acquire_lease(successor, "successor") == epoch + 1
        await upsert_collected_symbol(successor, "BTCUSDT", 0, EPOCH)
        before = await successor.fetch("SELECT * FROM collected_symbols")
        with open_unpacker() as unpacker:
            recorder = Recorder(opened, source, epoch, Counts(), unpacker)
            with pytest.raises(LeadershipLostError):
                await Collection(settings, settings.symbols, recorder, asyncio.Event()).run()
        assert await successor.fetch("SELECT * FROM collected_symbols") == before


async def test_renewing_ends_when_another_leads(database: DatabaseOfTest) -> None:
    """With the error that ends the leadership."""
    async with connect(database.collector_url, "test") as connection:
        assert await acquire_lease(connection, "one") == 1
        await connection.execute("UPDATE leadership SET epoch = 2, holder = 'other'")
        async with asyncio.timeout(10):
            with pytest.raises(LeadershipLostError, match="taken over"):
                await keep_lease(connection, 1, asyncio.Event())


async def test_lease_is_renewed_while_every_connection_is_at_work(database: DatabaseOfTest) -> None:
    """It has one of its own, so that a slow write cannot cost the leadership."""
    stop = asyncio.Event()
    renewed = "SELECT renewed_at > $1 FROM leadership WHERE epoch = $2"

    async def job(opened: Database, epoch: int) -> None:
        at_work = asyncio.Event()
        busy = 0

        async def keep_busy(connection: Connection) -> None:
            nonlocal busy
            busy += 1
            if busy == worker.bounds.pool_size:
                at_work.set()
            await at_work.wait()
            began = await connection.fetchval("SELECT clock_timestamp()")

            async def is_renewed() -> bool:
                return bool(await connection.fetchval(renewed, began, epoch))

            await eventually(is_renewed, 3 * RENEW_SECONDS)

        await asyncio.gather(*(opened.read(keep_busy) for _ in range(worker.bounds.pool_size)))

    async with simulated() as url:
        setup = collector_setup(database, url)
        async with open_sources(setup.sources, stop) as sources, asyncio.timeout(20):
            worker = Worker(setup.collector, sources, stop)
            await worker.run(job)


@asynccontextmanager
async def simulated() -> AsyncIterator[str]:
    """A simulated exchange whose time runs."""
    async with running(Simulator(clock=RunningClock(NOON))) as url:
        yield url


async def test_of_two_collectors_one_leads_and_the_other_takes_over_when_it_stops(database: DatabaseOfTest) -> None:
    """A leader that stops in order gives the lease up, so that nobody waits for it to run out."""
    async with simulated() as url, connected(database.owner_url) as owner:
        settings = collector_setup(database, url, backfill_since="5m")

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
