"""The collector among crashes: nothing that was acknowledged is lost, nothing is there twice, and one leads."""

import asyncio
import random
import re
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests.collecting import connected, count, eventually, rollup_differences
from tests.end_to_end.collector_process import TAKEOVER_SECONDS, Stage, ended, leader, stage, until_leading
from tests.postgres import Database, OwnPostgres
from tests.processes import until
from tests.simulated import NOON

CHANCE = random.Random(20_260_105)
SINCE = NOON - timedelta(days=20)
# So that the backfill lasts as long as the crashes do.
SLOW = "slow,seconds=0.3,path=/api/v3/klines"


def more_requests(scene: Stage, number: int) -> Callable[[], bool]:
    """Whether more than so many requests came since now."""
    before = len(scene.requests())
    return lambda: len(scene.requests()) > before + number


@pytest.mark.timeout(120)
async def test_collector_killed_again_and_again_in_mid_backfill(database: Database) -> None:
    """Ten times at random: the record is the exchange's row by row, and each start goes on where the last was."""
    async with stage(database, COLLECTOR_BACKFILL_SINCE="20d") as scene, connected(database.owner_url) as owner:
        kept = 0
        for _ in range(10):
            async with scene.collector() as process:
                await until(more_requests(scene, 3))
                await asyncio.sleep(CHANCE.uniform(0, 0.4))
                process.kill()
                await process.wait()
            now_kept = await count(owner, "BTCUSDT", SINCE, NOON)
            assert now_kept >= kept
            kept = now_kept
            await owner.execute("UPDATE leadership SET renewed_at = '-infinity'")
        async with scene.collector():
            await scene.until_whole(owner, SINCE, NOON)


@pytest.mark.timeout(180)
async def test_postgres_killed_again_and_again(crashable_postgres: OwnPostgres) -> None:
    """Ten times at random, the server or one of its backends: the same collector goes on each time."""
    database = crashable_postgres.database
    async with (
        stage(database, SLOW, COLLECTOR_BACKFILL_SINCE="20d", COLLECTOR_ARCHIVE_URL="") as scene,
        scene.collector() as process,
    ):
        await until(lambda: len(scene.requests()) > 6)
        for turn in range(10):
            await asyncio.sleep(CHANCE.uniform(0, 0.5))
            if turn % 2:
                async with connected(database.owner_url) as owner:
                    await owner.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'collector'"
                    )
            else:
                await crashable_postgres.crash()
                await crashable_postgres.start()
        async with connected(database.owner_url) as owner:
            await scene.until_whole(owner, SINCE, NOON)
        assert process.returncode is None


async def test_collector_recovers_when_postgres_returns(crashable_postgres: OwnPostgres) -> None:
    """By itself; it takes a second or two where nothing else runs."""
    database = crashable_postgres.database
    async with stage(database) as scene, scene.collector() as process:
        async with connected(database.owner_url) as owner:
            await scene.until_whole(owner, NOON - timedelta(hours=2), NOON)
        await crashable_postgres.stop()
        await asyncio.sleep(3)
        await crashable_postgres.start()
        async with connected(database.owner_url) as owner:
            returned = await owner.fetchval("SELECT clock_timestamp()")

            async def beats() -> bool:
                query = "SELECT true FROM heartbeats WHERE is_leader AND beat_at > $1"
                return bool(await owner.fetchval(query, returned))

            await eventually(beats)
        assert process.returncode is None


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_standby_takes_over_and_the_old_leader_never_writes_again(database: Database, number: int) -> None:
    """Within 15 seconds; a leader that was only paused wakes up as a stand-by."""
    start = NOON - timedelta(seconds=2)
    async with (
        stage(database, start=start) as scene,
        connected(database.owner_url) as owner,
        scene.collector() as first,
    ):
        old = await until_leading(owner)
        async with scene.collector():

            async def stands_by() -> bool:
                return bool(await owner.fetchval("SELECT count(*) = 2 FROM heartbeats"))

            await eventually(stands_by)
            began_at = time.monotonic()
            first.send_signal(number)
            new = await until_leading(owner, other_than=old, seconds=TAKEOVER_SECONDS)
            assert time.monotonic() - began_at < TAKEOVER_SECONDS
            if number == signal.SIGSTOP:
                first.send_signal(signal.SIGCONT)

                async def has_noticed() -> bool:
                    query = "SELECT NOT is_leader AND beat_at > clock_timestamp() - interval '6 seconds'"
                    return bool(await owner.fetchval(f"{query} FROM heartbeats WHERE instance = $1", old))

                await eventually(has_noticed)
            await scene.until_whole(owner, NOON - timedelta(hours=2), NOON)
            assert await leader(owner) == new


@pytest.mark.timeout(120)
async def test_sigterm_ends_it_within_five_seconds_at_any_moment(database: Database) -> None:
    """With exit 0, nothing on stderr, the lease given up, and rollups that agree."""
    async with stage(database, COLLECTOR_BACKFILL_SINCE="60d") as scene, connected(database.owner_url) as owner:
        for _ in range(6):
            async with scene.collector(LOG_LEVEL="info") as process:
                await until(more_requests(scene, 0))
                await asyncio.sleep(CHANCE.uniform(0, 1.0))
                began_at = time.monotonic()
                process.terminate()
                code, entries, complaint = await ended(process, 6)
                assert time.monotonic() - began_at < 5
                assert (code, complaint) == (0, "")
                assert entries[-1]["event"] == "collector_stopped"
            assert await leader(owner) is None


@pytest.mark.parametrize("fault", ["timeout,path=/api/v3/klines", "timeout,path=/data/*", "429,seconds=600,skip=2"])
async def test_sigterm_is_obeyed_while_the_exchange_keeps_it_waiting(database: Database, fault: str) -> None:
    """Neither an answer that does not come nor a ban is sat out."""
    async with stage(database, fault, COLLECTOR_BACKFILL_SINCE="60d") as scene, scene.collector() as process:
        await until(lambda: len(scene.requests()) > 2)
        await asyncio.sleep(0.5)
        process.terminate()
        code, _, complaint = await ended(process, 5)
        assert (code, complaint) == (0, "")


@pytest.mark.timeout(120)
async def test_sigterm_is_obeyed_while_postgres_hangs(crashable_postgres: OwnPostgres) -> None:
    """Within five seconds at any moment, though neither a query nor a goodbye is answered."""
    collectors = 3
    all_lead, hangs = asyncio.Barrier(collectors + 1), asyncio.Event()

    async def collect(database: Database) -> None:
        await asyncio.sleep(CHANCE.uniform(0, 1.5))
        async with (
            stage(database, COLLECTOR_BACKFILL_SINCE="60d", LOG_LEVEL="info") as scene,
            scene.collector() as process,
        ):
            async with connected(database.owner_url) as owner:
                await until_leading(owner)
            await all_lead.wait()
            await hangs.wait()
            await asyncio.sleep(CHANCE.uniform(0, 2.5))
            began_at = time.monotonic()
            process.terminate()
            code, entries, complaint = await ended(process, 8)
            assert time.monotonic() - began_at < 5
            assert (code, complaint) == (0, "")
            assert entries[-1]["event"] == "collector_stopped"

    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(crashable_postgres.cloned()) for _ in range(collectors)]
        with ExitStack() as frozen:
            async with asyncio.TaskGroup() as tasks:
                for database in databases:
                    tasks.create_task(collect(database))
                await all_lead.wait()
                frozen.enter_context(crashable_postgres.frozen())
                hangs.set()


@pytest.mark.timeout(120)
async def test_memory_does_not_grow_with_the_length_of_history(database: Database) -> None:
    """Under 120 MB while it stores most of a year."""
    since = NOON - timedelta(days=200)
    async with (
        stage(database, COLLECTOR_BACKFILL_SINCE="200d") as scene,
        connected(database.owner_url) as owner,
        scene.collector() as process,
    ):
        wanted = (NOON - since) // timedelta(minutes=1)

        async def is_there() -> bool:
            return await count(owner, "BTCUSDT", since, NOON) >= wanted

        await eventually(is_there, 100)
        status = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text, encoding="ascii")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        assert await rollup_differences(owner) == 0
        print(f"peak of resident memory: {int(peak[1]) / 1024:.0f} MB")
        assert int(peak[1]) < 120 * 1024
