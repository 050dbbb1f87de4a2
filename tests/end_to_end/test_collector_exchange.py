"""The collector's manners towards the exchange, proved by the exchange's own log of requests."""

import asyncio
from datetime import timedelta

import pytest

from simulator.request_log import Entry
from tests.collecting import connected, eventually
from tests.end_to_end.collector_process import ended, stage
from tests.postgres import Database
from tests.processes import until
from tests.simulated import NOON

# What was under way when the answer came cannot be called back.
UNDER_WAY_SECONDS = 0.25
PAUSE_SECONDS = 4


def first(entries: list[Entry], status: int) -> Entry | None:
    """The first request that was answered so."""
    return next((entry for entry in entries if entry.status == status), None)


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize("kill", [False, True], ids=["running", "killed and restarted"])
async def test_nothing_is_sent_while_the_exchange_says_to_stay_away(
    database: Database, status: int, kill: bool
) -> None:
    """Not by REST, archive or stream, on no host, nor by a new process after kill -9; afterwards it goes on."""
    async with (
        stage(database, COLLECTOR_BACKFILL_SINCE="20d") as scene,
        connected(database.owner_url) as owner,
        scene.collector() as process,
    ):
        await until(lambda: len(scene.requests()) > 12)
        scene.simulator.faults.add(f"{status},seconds={PAUSE_SECONDS},count=1")
        scene.simulator.faults.add("cut_stream,count=1,skip=1")
        await until(lambda: first(scene.requests(), status) is not None)
        refused = first(scene.requests(), status)
        assert refused is not None
        if kill:

            async def is_kept() -> bool:
                return bool(await owner.fetchval("SELECT true FROM exchange_pauses"))

            await eventually(is_kept, 3)
            process.kill()
            await process.wait()
            # Or the next one would stand by for as long as the pause lasts, and prove nothing.
            await owner.execute("UPDATE leadership SET renewed_at = '-infinity'")
            async with scene.collector():
                await until(lambda: scene.requests()[-1].monotonic > refused.monotonic + PAUSE_SECONDS)
        else:
            await until(lambda: scene.requests()[-1].monotonic > refused.monotonic + PAUSE_SECONDS)
    paused = [
        entry.path
        for entry in scene.requests()
        if refused.monotonic + UNDER_WAY_SECONDS < entry.monotonic < refused.monotonic + PAUSE_SECONDS
    ]
    assert paused == []


async def test_with_every_host_down_requests_are_few_and_ever_fewer_and_its_return_is_noticed(
    database: Database,
) -> None:
    """At most 4 in any second, over REST, archives and the stream together."""
    async with stage(database, "503,path=*") as scene, connected(database.owner_url) as owner, scene.collector():
        await until(lambda: bool(scene.requests()))
        await asyncio.sleep(8)
        moments = [entry.monotonic for entry in scene.requests()]
        assert all(sum(one <= moment < one + 1.0 for moment in moments) <= 4 for one in moments)
        early = sum(moment < moments[0] + 3 for moment in moments)
        assert early > sum(moment >= moments[0] + 5 for moment in moments) > 0
        scene.simulator.faults.clear()
        await scene.until_whole(owner, NOON - timedelta(hours=2), NOON, 30)


@pytest.mark.parametrize("fault", ["503", "451", "403", "timeout", "reset", "malformed_json", "truncated"])
async def test_another_host_is_asked_when_one_fails(database: Database, fault: str) -> None:
    """Well within 30 seconds, whatever the failure."""
    failing = f"{fault},host=127.0.0.1:*,path=/api/*"
    async with stage(database, failing) as scene, connected(database.owner_url) as owner, scene.collector():
        await scene.until_whole(owner, NOON - timedelta(hours=2), NOON, 30)
        hosts = {entry.host.partition(":")[0] for entry in scene.requests() if entry.status == 200}
        assert "localhost" in hosts


async def test_host_is_not_changed_for_a_429(database: Database) -> None:
    """The limit is the address's; the same host is asked again when it allows."""
    async with stage(database, "429,seconds=1,count=2,skip=3") as scene, connected(database.owner_url) as owner:
        async with scene.collector():
            await scene.until_whole(owner, NOON - timedelta(hours=2), NOON, 30)
        assert first(scene.requests(), 429) is not None
        assert {entry.host.partition(":")[0] for entry in scene.requests()} == {"127.0.0.1"}


async def test_unknown_symbol_is_a_sentence(database: Database) -> None:
    """With the setting to change."""
    async with stage(database) as scene, scene.collector(COLLECTOR_SYMBOLS="NOSUCHUSDT") as process:
        code, _, complaint = await ended(process, 30)
    assert code == 2
    assert complaint == "collector: The exchange has no symbol NOSUCHUSDT; correct COLLECTOR_SYMBOLS.\n"
