"""The collector at work on a simulated exchange: what it has recorded is what the exchange finally has."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector.backfill_command import BackfillCommand
from collector.live import DOUBT_SECONDS, LiveMinutes
from collector.recorder import Recorder, open_unpacker
from collector.sources.registry import open_sources
from collector.worker import Worker
from shared.database.connection import Connection
from shared.database.database import connect
from shared.gaps import Gap, select_gaps, select_record_range
from shared.instant import EPOCH, MINUTE, floor_minute, from_milliseconds, to_milliseconds, to_text
from shared.symbols import BINANCE
from simulator.clock import RunningClock
from simulator.generator import Generator
from simulator.server import Simulator, running
from tests.collecting import (
    Setup,
    collecting,
    collector_setup,
    connected,
    count,
    eventually,
    final_count,
    final_rows,
    minutes_between,
    rollup_differences,
    stored,
)
from tests.klines import kline
from tests.postgres import Database, Server
from tests.simulated import NOON


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due to be asked for again is looked up soon."""
    monkeypatch.setattr("collector.backfill.LOOK_AGAIN_SECONDS", 0.3)


@pytest.fixture
def unpacker() -> Iterator[Executor]:
    """The thread of a recorder that a test makes beside the collector's."""
    with open_unpacker() as opened:
        yield opened


@dataclass(frozen=True)
class Scene:
    """A simulated exchange, the collector's settings for it, and a look into the database."""

    simulator: Simulator
    url: str
    setup: Setup
    owner: Connection

    def now(self) -> datetime:
        """The exchange's time."""
        return from_milliseconds(self.simulator.market.now_ms())

    def asked(self, path: str) -> int:
        """How many requests of a path came."""
        return len(self.simulator.log.since(0, path))

    async def is_whole(self, start: datetime, end: datetime, symbol: str = "BTCUSDT") -> bool:
        """Whether as many minutes are stored as the exchange has."""
        return await count(self.owner, symbol, start, end) >= final_count(self.simulator, symbol, start, end)

    async def until_whole(self, start: datetime, end: datetime, symbol: str = "BTCUSDT") -> None:
        """Wait until the record is as long as the exchange's, and check that it is the same, with its rollups."""
        await eventually(lambda: self.is_whole(start, end, symbol), 40)
        assert await stored(self.owner, symbol, start, end) == final_rows(self.simulator, symbol, start, end)
        assert await rollup_differences(self.owner) == 0

    async def gaps(self, start: datetime, end: datetime) -> list[Gap]:
        """What is missing and why."""
        return await select_gaps(self.owner, "BTCUSDT", start, end)


@asynccontextmanager
async def scene(
    database: Database, *faults: str, start: datetime = NOON, source: Any = None, **overrides: Any
) -> AsyncIterator[Scene]:
    """A simulated exchange that runs from `start` on, with these faults."""
    simulator = Simulator(source, clock=RunningClock(start), faults=faults)
    async with running(simulator) as url, connect(database.owner_url, "test") as owner:
        yield Scene(simulator, url, collector_setup(database, url, **overrides), owner)


async def test_newest_minute_comes_first_then_history(database: Database) -> None:
    """And both are equal to the exchange's, row by row, with nothing of the open minute."""
    async with scene(database, start=NOON + timedelta(seconds=20)) as at_noon, collecting(at_noon.setup):
        await at_noon.until_whole(NOON - timedelta(hours=2), NOON)
        first = await at_noon.owner.fetchval("SELECT minute FROM ticks ORDER BY created_at, minute DESC LIMIT 1")
        assert first == NOON - MINUTE
        assert await at_noon.gaps(NOON - timedelta(hours=2), NOON) == []
        assert await at_noon.owner.fetchval("SELECT max(minute) FROM ticks") == NOON - MINUTE
        assert await at_noon.owner.fetchval("SELECT DISTINCT source FROM ticks") == "simulated"


async def test_minute_is_there_within_a_second_of_its_close(database: Database) -> None:
    """Without the stream too."""
    before = NOON - timedelta(seconds=4)
    async with (
        scene(database, start=before, stream_url="", backfill_since="10m") as running_scene,
        collecting(running_scene.setup),
    ):
        await eventually(lambda: running_scene.is_whole(NOON - MINUTE, NOON))
        late = (running_scene.now() - NOON).total_seconds()
        assert await stored(running_scene.owner, "BTCUSDT", NOON - MINUTE, NOON) == final_rows(
            running_scene.simulator, "BTCUSDT", NOON - MINUTE, NOON
        )
        # Well before a doubtful row would be believed.
        assert late < DOUBT_SECONDS / 2


@asynccontextmanager
async def closed_rows_only(shown: Scene) -> AsyncIterator[str]:
    """The same exchange behind a host that never shows the candle that is open."""

    async def answer(request: web.Request) -> web.Response:
        async with client.get(shown.url + request.path_qs) as original:
            body = await original.json()
        if request.path.endswith("/klines"):
            open_ms = to_milliseconds(floor_minute(shown.now()))
            body = [row for row in body if row[0] < open_ms]
        return web.json_response(body)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    async with aiohttp.ClientSession() as client:
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_exchange_that_shows_no_open_candle_is_soon_believed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last row can only be final; the doubt is paid once, at the start."""
    monkeypatch.setattr("collector.live.DOUBT_SECONDS", 6.0)
    before = NOON - timedelta(seconds=9)
    async with (
        scene(database, start=before, stream_url="", archive_url="", backfill_since="5m") as shown,
        closed_rows_only(shown) as url,
        collecting(shown.setup.change(rest_urls=(url,))),
    ):
        await shown.until_whole(NOON - 5 * MINUTE, NOON)
        assert (shown.now() - NOON).total_seconds() < 5.0


async def test_symbol_that_is_given_up_misses_nothing_since(database: Database) -> None:
    """Its record ends where collecting it did, and goes on from there when it is collected again."""
    both, one = {"symbols": ("BTCUSDT", "ETHUSDT")}, {"symbols": ("BTCUSDT",)}
    async with scene(database, backfill_since="30m", source=Generator(both["symbols"])) as shown:
        start = floor_minute(NOON - timedelta(minutes=20))
        async with collecting(shown.setup.change(**both)):
            await shown.until_whole(start, NOON, "ETHUSDT")
        async with collecting(shown.setup.change(**one)):
            await shown.until_whole(start, NOON)

            async def is_given_up() -> bool:
                return bool(await shown.owner.fetchval("SELECT until FROM collected_symbols WHERE symbol = 'ETHUSDT'"))

            await eventually(is_given_up)
        newest = await shown.owner.fetchval("SELECT max(minute) FROM ticks WHERE symbol = 'ETHUSDT'")
        ended = await select_record_range(shown.owner, "ETHUSDT")
        assert ended is not None
        assert ended.end == newest + MINUTE
        async with collecting(shown.setup.change(**both)):

            async def is_taken_up() -> bool:
                until = await shown.owner.fetchval("SELECT until FROM collected_symbols WHERE symbol = 'ETHUSDT'")
                return until is None

            await eventually(is_taken_up)


async def test_backfill_takes_the_last_minutes_before_a_halt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing follows them that would prove them closed; that they stay as they are does."""
    monkeypatch.setattr("collector.backfill.DOUBT_SECONDS", 1.0)
    halt = f"hole,start={to_text(NOON)},end={to_text(NOON + timedelta(days=1))}"
    stop = asyncio.Event()
    async with scene(database, halt, start=NOON + timedelta(seconds=1)) as halted:
        async with open_sources(halted.setup.sources, stop) as sources:
            worker = Worker(halted.setup.collector, sources, stop)
            command = BackfillCommand(worker, "1h", to_text(NOON))
            async with asyncio.timeout(20):
                await worker.run(command.lead, command.follow)
        await halted.until_whole(floor_minute(NOON - timedelta(minutes=59)), NOON)


REST_FAULTS = (
    (),
    ("stale_row,seconds=3",),
    ("stale_row,seconds=70",),
    ("late_row,seconds=2",),
    ("slow,seconds=0.7,path=/api/v3/klines",),
)
STREAM_FAULTS = (
    ("silent_stream",),
    ("wrong_symbol",),
    ("malformed_frame",),
    ("no_close",),
    ("late_close,seconds=2", "stale_row,seconds=3"),
    ("cut_stream,count=3",),
    ("server_shutdown,count=2",),
)


@pytest.mark.parametrize("with_stream", [True, False], ids=["stream", "no stream"])
async def test_open_candle_is_never_stored(postgres_server: Server, with_stream: bool) -> None:
    """Whatever the stream and the exchange's store do at the turn of the minute, each row seen is a final one."""

    async def check(faults: tuple[str, ...]) -> None:
        options = {} if with_stream else {"stream_url": ""}
        before = NOON - timedelta(seconds=2.5)
        async with (
            postgres_server.cloned(postgres_server.template) as database,
            scene(database, *faults, start=before, backfill_since="5m", **options) as turning,
            collecting(turning.setup),
        ):
            is_late = any(fault.startswith(("stale_row", "late_row")) for fault in faults)
            await watch(turning, " and ".join(faults) or "no fault", set() if is_late else {NOON - MINUTE})

    async with asyncio.TaskGroup() as tasks:
        for faults in (*REST_FAULTS, *(STREAM_FAULTS if with_stream else ())):
            tasks.create_task(check(faults))


async def watch(turning: Scene, case: str, awaited: set[datetime]) -> None:
    """Look at the record until the minute has turned and what is awaited was seen; each minute seen must be final."""
    final = {values[0]: values for values in final_rows(turning.simulator, "BTCUSDT", NOON - MINUTE * 9, NOON)}
    seen: set[datetime] = set()
    async with asyncio.timeout(30):
        while turning.now() < NOON + timedelta(seconds=4) or len(seen) < 3 or not awaited <= seen:
            for values in await stored(turning.owner, "BTCUSDT", NOON - MINUTE * 9, NOON + MINUTE):
                assert values == final[values[0]], case
                seen.add(values[0])
            await asyncio.sleep(0.03)


async def test_last_row_without_a_later_one_is_believed_once_it_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last minute before a halt is a minute too."""
    monkeypatch.setattr("collector.live.DOUBT_SECONDS", 1.0)
    hole = f"hole,start={to_text(NOON)},end={to_text(NOON + timedelta(hours=1))}"
    options: dict[str, Any] = {"stream_url": "", "backfill_since": "5m"}
    async with (
        scene(database, hole, start=NOON + timedelta(seconds=1), **options) as halted,
        collecting(halted.setup),
    ):
        await halted.until_whole(NOON - 5 * MINUTE, NOON)


async def test_holes_are_found_out_and_asked_for_again(database: Database) -> None:
    """What the exchange does not have is `source_absent`, whatever its length; what comes later is stored."""
    start, end = NOON - timedelta(hours=60), NOON - timedelta(hours=20)
    hole = f"hole,start={to_text(start)},end={to_text(end)}"
    async with scene(database, hole, backfill_since="4d", archive_url="") as holed, collecting(holed.setup):
        since = floor_minute(NOON - timedelta(days=4))
        await holed.until_whole(since, NOON)

        async def is_settled() -> bool:
            return await holed.gaps(since, NOON) == [Gap(start, end, "source_absent")]

        await eventually(is_settled)
        assert holed.asked("/api/v3/klines") < 25
        holed.simulator.faults.clear()
        await holed.owner.execute("UPDATE absences SET ask_again_at = now() - interval '10 years'")
        await eventually(lambda: holed.is_whole(start, end), 30)
        assert await holed.gaps(since, NOON) == []
        assert await rollup_differences(holed.owner) == 0


async def test_what_lies_before_the_listing_is_settled_with_few_questions(database: Database) -> None:
    """Pages and pages are not asked for when there is nothing in them."""
    listing = f"hole,start=2020-01-01,end={to_text(NOON - timedelta(hours=30))}"
    options: dict[str, Any] = {"backfill_since": "400d", "archive_url": "", "stream_url": ""}
    async with scene(database, listing, **options) as listed, collecting(listed.setup):
        since = floor_minute(NOON - timedelta(days=400))

        async def is_settled() -> bool:
            return await listed.gaps(since, NOON) == [Gap(since, NOON - timedelta(hours=30), "source_absent")]

        await eventually(is_settled, 40)
        await listed.until_whole(NOON - timedelta(hours=30), NOON)
        assert listed.asked("/api/v3/klines") < 40


async def test_empty_answers_by_mistake_do_not_end_history(database: Database) -> None:
    """An empty list proves nothing; what it hid comes."""
    faults = ("empty,count=4,skip=1,path=/api/v3/klines",)
    async with scene(database, *faults, backfill_since="3d", archive_url="") as emptied, collecting(emptied.setup):
        since = floor_minute(NOON - timedelta(days=3))

        async def is_asked() -> bool:
            await emptied.owner.execute("UPDATE absences SET ask_again_at = now() - interval '10 years'")
            return await emptied.is_whole(since, NOON)

        await eventually(is_asked, 40)
        assert await emptied.gaps(since, NOON) == []


async def test_malformed_rows_are_refused_counted_and_had_in_the_end(database: Database) -> None:
    """The rest of each page is kept at once."""
    faults = ("bad_row,count=6,path=/api/v3/klines",)
    async with (
        scene(database, *faults, backfill_since="3d", archive_url="", stream_url="") as spoilt,
        collecting(spoilt.setup) as worker,
    ):
        since = floor_minute(NOON - timedelta(days=3))

        async def is_asked() -> bool:
            await spoilt.owner.execute("UPDATE absences SET ask_again_at = now() - interval '10 years'")
            return await spoilt.is_whole(since, NOON)

        await eventually(is_asked, 40)
        await spoilt.until_whole(since, NOON)
        assert worker.counts.refused.total() == 6

        async def is_told() -> bool:
            details = await spoilt.owner.fetchval("SELECT details -> 'rows_refused' FROM heartbeats")
            return details is not None and details != "{}"

        await eventually(is_told)


async def test_correction_of_a_recent_minute_is_taken_over(database: Database) -> None:
    """With what was seen first still known by its created_at."""
    faults = ("correction,seconds=2.5,probability=1",)
    options: dict[str, Any] = {"backfill_since": "5m", "stream_url": ""}
    async with (
        scene(database, *faults, start=NOON - timedelta(seconds=3), **options) as corrected,
        collecting(corrected.setup) as worker,
    ):

        async def is_corrected() -> bool:
            return bool(await corrected.owner.fetchval("SELECT count(*) FROM ticks WHERE corrected_at IS NOT NULL"))

        await eventually(is_corrected)
        await corrected.until_whole(NOON - 5 * MINUTE, NOON)
        assert worker.counts.corrected >= 1


@pytest.mark.parametrize("hours", [-7, 5])
async def test_exchange_s_clock_counts_and_not_ours(database: Database, hours: int) -> None:
    """Off by hours, both ways: minutes close when the exchange says so."""
    fault = f"clock_offset,seconds={hours * 3600}"
    async with scene(database, fault, backfill_since="30m") as shifted, collecting(shifted.setup):
        there = NOON + timedelta(hours=hours)
        await shifted.until_whole(there - timedelta(minutes=30), there)
        assert await shifted.owner.fetchval("SELECT max(minute) FROM ticks") == there - MINUTE

        async def is_told() -> bool:
            told: datetime = await shifted.owner.fetchval("SELECT exchange_now()")
            return abs(told - shifted.now()) < timedelta(seconds=2)

        await eventually(is_told)


async def test_clock_that_jumps_is_followed_with_the_stream(database: Database) -> None:
    """Ahead by minutes: what closed meanwhile is there soon, without waiting for the next measuring."""
    async with scene(database, backfill_since="5m") as jumping, collecting(jumping.setup):
        await eventually(lambda: jumping.is_whole(NOON - 5 * MINUTE, NOON))
        jumping.simulator.clock.set(NOON + timedelta(minutes=3, seconds=1))
        await eventually(lambda: jumping.is_whole(NOON - 5 * MINUTE, NOON + 3 * MINUTE), 8)
        await jumping.until_whole(NOON - 5 * MINUTE, NOON + 3 * MINUTE)


async def test_clock_that_is_set_back_does_not_stop_the_collector(database: Database) -> None:
    """It waits for what closes then, and is there when the time has come."""
    async with scene(database, backfill_since="5m", stream_url="") as back, collecting(back.setup) as worker:
        await back.until_whole(NOON - 5 * MINUTE, NOON)
        back.simulator.clock.set(NOON - timedelta(minutes=30, seconds=3))
        await worker.sources[BINANCE].measure_time()
        await asyncio.sleep(0.5)
        back.simulator.clock.set(NOON + timedelta(seconds=59))
        await worker.sources[BINANCE].measure_time()
        await eventually(lambda: back.is_whole(NOON - 5 * MINUTE, NOON + MINUTE), 10)
        await back.until_whole(NOON - 5 * MINUTE, NOON + MINUTE)


async def test_frame_from_the_future_is_not_believed(database: Database, unpacker: Executor) -> None:
    """It neither becomes a tick nor keeps the live minute from coming."""
    async with (
        scene(database, start=NOON - timedelta(seconds=6), backfill_since="5m", stream_url="") as ahead,
        collecting(ahead.setup) as worker,
    ):
        await eventually(lambda: ahead.is_whole(NOON - 5 * MINUTE, NOON - MINUTE))
        async with worker.open_database() as opened:
            recorder = Recorder(opened, worker.sources[BINANCE], 1, worker.counts, unpacker)
            live = LiveMinutes("BTCUSDT", recorder, EPOCH, asyncio.Event())
            await live.take_from_stream(kline(from_milliseconds(4_000_000_020_000)))
            await live.take_from_stream(kline(datetime(9000, 1, 1, tzinfo=UTC)))
        await eventually(lambda: ahead.is_whole(NOON - MINUTE, NOON))
        assert await ahead.owner.fetchval("SELECT max(minute) FROM ticks") <= NOON


async def test_frame_of_long_ago_is_refused(database: Database, unpacker: Executor) -> None:
    """Nothing would read its minute again and put a wrong one right; a recent one is taken."""
    async with scene(database, backfill_since="2h", stream_url="") as behind, collecting(behind.setup) as worker:
        await behind.until_whole(NOON - timedelta(hours=2), NOON)
        before = await stored(behind.owner, "BTCUSDT", NOON - timedelta(hours=2), NOON)
        old, recent = (kline(NOON - timedelta(minutes=ago)) for ago in (60, 3))
        async with worker.open_database() as opened:
            epoch = await behind.owner.fetchval("SELECT epoch FROM leadership")
            recorder = Recorder(opened, worker.sources[BINANCE], epoch, worker.counts, unpacker)
            live = LiveMinutes("BTCUSDT", recorder, EPOCH, asyncio.Event())
            await live.take_from_stream(old)
            assert await stored(behind.owner, "BTCUSDT", NOON - timedelta(hours=2), NOON) == before
            assert worker.counts.refused == {"closed long ago": 1}
            await live.take_from_stream(recent)
            assert worker.counts.corrected >= 1


async def test_bulk_comes_from_archives_and_only_the_rest_by_rest(database: Database) -> None:
    """Months, then days; a handful of pages for what no file has."""
    async with scene(database, backfill_since="40d") as long, collecting(long.setup):
        await long.until_whole(floor_minute(NOON - timedelta(days=40)), NOON)
        files = {entry.path.rpartition("/")[2] for entry in long.simulator.log.since(0, "/data/")}
        assert "BTCUSDT-1m-2025-12.zip" in files
        assert "BTCUSDT-1m-2026-01-03.zip" in files
        assert long.asked("/api/v3/klines") < 40


@pytest.mark.parametrize("fault", ["bad_checksum", "truncated_zip", "503,path=/data/*", "reset,path=/data/*"])
async def test_archives_that_cannot_be_used_are_made_up_for_by_rest(database: Database, fault: str) -> None:
    """Nothing of a damaged file is stored, and nobody waits for it."""
    async with scene(database, fault, backfill_since="16d") as damaged, collecting(damaged.setup):
        await damaged.until_whole(floor_minute(NOON - timedelta(days=16)), NOON)
        assert damaged.asked("/api/v3/klines") >= 23


async def test_connections_cut_off_in_the_middle_of_writing_are_no_end(database: Database) -> None:
    """Whichever task they belonged to: the collector begins anew, and nothing is half written."""
    slow = "slow,seconds=0.2,path=/api/v3/klines"
    blocked = "FROM pg_stat_activity WHERE usename = 'collector' AND wait_event_type = 'Lock'"
    async with (
        scene(database, slow, backfill_since="10d", archive_url="", stream_url="") as cut,
        connected(database.owner_url) as other,
        collecting(cut.setup),
    ):
        await eventually(lambda: cut.is_whole(NOON - timedelta(minutes=990), NOON))

        async def several_wait() -> bool:
            return bool(await cut.owner.fetchval(f"SELECT count(*) >= 3 {blocked}"))

        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM leadership FOR UPDATE")
        await eventually(several_wait)
        await cut.owner.execute(f"SELECT pg_terminate_backend(pid) {blocked} AND query NOT LIKE '%SET renewed_at%'")
        await transaction.rollback()
        await cut.until_whole(floor_minute(NOON - timedelta(days=10)), NOON)


async def leads_with(look: Scene, worker: Worker) -> bool:
    """Whether a collector has taken the lead, and has told the exchange's time."""
    return bool(
        await look.owner.fetchval(
            "SELECT is_leader AND EXISTS (SELECT FROM exchange_clocks) FROM heartbeats WHERE instance = $1",
            worker.heartbeat.instance,
        )
    )


async def test_backfill_goes_on_where_it_was(database: Database) -> None:
    """A second collector asks for nothing that is there already."""
    async with scene(database, backfill_since="10d", archive_url="", stream_url="") as twice:
        async with collecting(twice.setup):
            await twice.until_whole(floor_minute(NOON - timedelta(days=10)), NOON)
        twice.simulator.log.clear()
        async with collecting(twice.setup) as worker:
            await eventually(lambda: leads_with(twice, worker))
            await eventually(lambda: asyncio.sleep(0, twice.asked("/api/v3/klines")))
            await asyncio.sleep(0.5)
            assert worker.counts.inserted <= 1
        assert twice.asked("/api/v3/klines") <= 4


async def test_several_symbols_are_collected_each_for_itself(database: Database) -> None:
    """And one that is taken out of the settings stays as it is, behind the others."""
    source = Generator(("BTCUSDT", "ETHUSDT"))
    since = NOON - timedelta(hours=2)
    order = "SELECT string_agg(symbol, ' ' ORDER BY position, symbol) FROM collected_symbols"
    async with scene(database, source=source, symbols=("BTCUSDT", "ETHUSDT")) as both:
        async with collecting(both.setup):
            await both.until_whole(since, NOON, "BTCUSDT")
            await both.until_whole(since, NOON, "ETHUSDT")
        assert await both.owner.fetchval(order) == "BTCUSDT ETHUSDT"
        async with collecting(both.setup.change(symbols=("ETHUSDT",))) as worker:
            await eventually(lambda: leads_with(both, worker))
            await both.until_whole(since, NOON, "ETHUSDT")
        assert await both.owner.fetchval(order) == "ETHUSDT BTCUSDT"
        assert await count(both.owner, "BTCUSDT", since, NOON) == minutes_between(since, NOON)


async def test_worker_ends_when_told_to_before_it_could_begin(database: Database) -> None:
    """While it stands by, and while the exchange does not answer."""
    options: dict[str, Any] = {"rest_urls": ("http://127.0.0.1:1",), "archive_url": "", "stream_url": ""}
    async with (
        scene(database, **options) as silent,
        asyncio.timeout(15),
        collecting(silent.setup) as leader,
        collecting(silent.setup) as standby,
    ):

        async def both_beat() -> bool:
            return bool(await silent.owner.fetchval("SELECT count(*) = 2 FROM heartbeats"))

        await eventually(both_beat)
        assert isinstance(leader, Worker)
        standby.stop.set()
