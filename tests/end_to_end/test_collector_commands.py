"""The collector's commands on a real record: backfill, gaps and verify."""

import asyncio
from datetime import timedelta
from pathlib import Path

from shared.instant import MINUTE, floor_minute, to_text
from tests.collecting import connected, count
from tests.end_to_end.collector_process import ended, stage, until_leading
from tests.postgres import Database
from tests.processes import until
from tests.simulated import NOON

START = NOON - timedelta(hours=30)
END = NOON - timedelta(hours=5)
RANGE = ("--since", to_text(START), "--until", to_text(END))


async def run(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, output without the log, and complaints."""
    async with asyncio.timeout(60):
        output, complaints = await process.communicate()
    lines = [line for line in output.decode().splitlines() if not line.startswith("{")]
    return process.returncode, "\n".join(lines), complaints.decode()


async def test_backfill_fills_its_range_by_itself_and_verify_agrees(database: Database) -> None:
    """With a progress bar; a second time there is nothing to do."""
    async with stage(database) as scene, connected(database.owner_url) as owner:
        async with scene.collector("backfill", *RANGE) as process:
            code, _, bar = await run(process)
            assert code == 0
            assert "BTCUSDT" in bar
            assert "100%" in bar
        await scene.until_whole(owner, START, END)
        before = len(scene.requests())
        async with scene.collector("backfill", *RANGE) as process:
            assert (await run(process))[0] == 0
        assert not any(entry.path == "/api/v3/klines" for entry in scene.requests()[before:])
        async with scene.collector("verify", *RANGE) as process:
            code, output, _ = await run(process)
        assert code == 0
        assert f"BTCUSDT: {to_text(START)} to {to_text(END)}, 1500 minutes equal, 0 different" in output


async def test_backfill_reaches_the_newest_closed_minute(database: Database) -> None:
    """Without an end it is now; nobody else is there to add the last minutes."""
    async with stage(database) as scene, connected(database.owner_url) as owner:
        closed_until = floor_minute(scene.now())
        async with scene.collector("backfill", "--since", "3h") as process:
            assert (await run(process))[0] == 0
        newest = await owner.fetchval("SELECT max(minute) FROM ticks")
        assert newest >= closed_until - MINUTE
        await scene.until_whole(owner, closed_until - timedelta(hours=2), closed_until)


async def test_backfill_beside_a_running_collector_is_done_by_that(database: Database) -> None:
    """Two never write; the command only asks and watches."""
    async with stage(database) as scene, connected(database.owner_url) as owner, scene.collector():
        leading = await until_leading(owner)
        async with scene.collector("backfill", "--since", "3d", LOG_LEVEL="info") as process:
            code, entries, _ = await ended(process, 60)
        assert code == 0
        assert entries[-1]["event"] == "backfill_finished"
        assert entries[-1]["done_by"] == "the collector that leads"
        assert await count(owner, "BTCUSDT", NOON - timedelta(days=3), NOON) == 3 * 1440
        assert await until_leading(owner) == leading


async def test_backfill_takes_over_when_the_collector_it_asked_dies(database: Database) -> None:
    """It does not wait for ever for what nobody does."""
    async with stage(database, COLLECTOR_ARCHIVE_URL="") as scene, connected(database.owner_url) as owner:
        async with scene.collector() as leading:
            await scene.until_whole(owner, NOON - timedelta(hours=2), NOON)
            leading.kill()
            await leading.wait()
        async with scene.collector("backfill", *RANGE) as process:
            assert (await run(process))[0] == 0
        await scene.until_whole(owner, START, END)


async def test_backfill_before_the_listing_ends(database: Database) -> None:
    """What the exchange never had is settled, not waited for."""
    listing = f"hole,start=2020-01-01,end={to_text(START)}"
    async with stage(database, listing, COLLECTOR_ARCHIVE_URL="") as scene:
        async with scene.collector("backfill", "--since", "700d", "--until", to_text(END)) as process:
            assert (await run(process))[0] == 0
        async with scene.collector("gaps", "--until", to_text(END)) as process:
            code, output, _ = await run(process)
        assert code == 0
        assert output.count("source_absent") == 1
        assert "not_collected" not in output
        assert to_text(START) in output


async def test_interrupted_backfill_ends_soon_and_goes_on_later(database: Database) -> None:
    """Ctrl-C is no error of the record."""
    async with (
        stage(database, "slow,seconds=0.3,path=/api/v3/klines", COLLECTOR_ARCHIVE_URL="") as scene,
        scene.collector("backfill", "--since", "30d", LOG_LEVEL="info") as process,
    ):
        await until(lambda: len(scene.requests()) > 6)
        process.terminate()
        code, entries, complaint = await ended(process, 5)
        assert code == 0
        assert entries[-1]["event"] == "backfill_stopped"
        assert entries[-1]["inserted"] > 0
        assert "Traceback" not in complaint


async def test_verify_finds_each_planted_difference(database: Database) -> None:
    """A minute missing here, one missing there, one changed: exit 1."""
    async with stage(database) as scene, connected(database.owner_url) as owner:
        async with scene.collector("backfill", *RANGE) as process:
            assert (await run(process))[0] == 0
        changed, missing, extra = (START + timedelta(minutes=minute) for minute in (10, 700, 1400))
        await owner.execute("UPDATE ticks SET volume = volume + 0.00000001 WHERE minute = $1", changed)
        await owner.execute("DELETE FROM ticks WHERE minute = $1", missing)
        scene.simulator.faults.add(f"hole,start={to_text(extra)},end={to_text(extra + timedelta(minutes=1))}")
        async with scene.collector("verify", *RANGE) as process:
            code, output, _ = await run(process)
    lines = output.splitlines()
    assert code == 1
    assert lines[0].startswith(f"BTCUSDT {to_text(changed)} differs: volume ")
    assert lines[1] == f"BTCUSDT {to_text(missing)} is not stored, but the exchange has it"
    assert lines[2] == f"BTCUSDT {to_text(extra)} is stored, but the exchange does not have it"
    assert lines[3].endswith("1497 minutes equal, 3 different")


async def test_gaps_says_what_is_missing_and_why(database: Database, tmp_path: Path) -> None:
    """Nothing yet, then each run with its cause, and the share that is there."""
    hole_start, hole_end = START + timedelta(hours=2), START + timedelta(hours=3)
    hole = f"hole,start={to_text(hole_start)},end={to_text(hole_end)}"
    async with stage(database, hole) as scene:
        async with scene.collector("gaps", folder=tmp_path) as process:
            assert await run(process) == (0, "BTCUSDT: nothing is collected yet", "")
        async with scene.collector("backfill", *RANGE) as process:
            assert (await run(process))[0] == 0
        async with scene.collector("gaps", "--until", to_text(END + timedelta(minutes=60))) as process:
            code, output, _ = await run(process)
    assert code == 0
    head, absent, ours = output.splitlines()
    assert head.startswith(f"BTCUSDT: {to_text(START)} to ")
    assert head.endswith("120 minutes missing, 92.3077 % complete")
    assert absent.split() == [to_text(hole_start), to_text(hole_end), "60", "source_absent"]
    assert ours.split() == [to_text(END), to_text(END + timedelta(hours=1)), "60", "not_collected"]
