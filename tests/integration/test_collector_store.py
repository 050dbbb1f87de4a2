"""What is written: ticks, rollups and ledger, in one transaction that proves the leadership."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from collector.counts import Counts
from collector.klines import Kline, KlinePage
from collector.leadership import acquire_lease
from collector.ledger import record_answer, select_due_absences
from collector.recorder import Recorder, open_unpacker
from collector.sources.binance import SourceSettings, open_source
from collector.sources.binance.archive_file import ArchiveFile
from collector.sources.binance.archives import OfferedFile
from collector.sources.binance.source import Binance
from collector.store import WriteTarget, upsert_klines
from shared.database.connection import Connection
from shared.database.database import Bounds, Database, connect, open_database
from shared.database.migrate import migrate
from shared.database.rollups import rebuild_rollups
from shared.errors import LeadershipLostError
from shared.gaps import select_absences, select_gaps, select_missing
from shared.instant import MINUTE
from shared.runs import Run, Runs
from tests.archives import zipped
from tests.collecting import connected, rollup_differences, stored
from tests.klines import kline, row
from tests.postgres import Database as DatabaseOfTest

DAY = datetime(2024, 3, 5, tzinfo=UTC)
FILE = ArchiveFile("BTCUSDT", "daily", date(2024, 3, 5))
LATER = DAY + timedelta(days=10)


def at(minute: int) -> datetime:
    """A minute of the day."""
    return DAY + minute * MINUTE


def run(start: int, end: int) -> Run:
    """Minutes of the day as a run."""
    return Run(DAY + start * MINUTE, DAY + end * MINUTE)


@pytest.fixture
async def pool(database: DatabaseOfTest) -> AsyncIterator[Database]:
    """Connections as the collector."""
    async with open_database(database.collector_url, "test", Bounds(6)) as pool:
        yield pool


@pytest.fixture
async def connection(database: DatabaseOfTest) -> AsyncIterator[Connection]:
    """One connection as the collector."""
    async with connect(database.collector_url, "test") as connection:
        yield connection


@pytest.fixture
async def source() -> AsyncIterator[Binance]:
    """One whose clock shows ten days later, and that labels its rows `test`."""
    async with open_source(SourceSettings.load(source="test"), asyncio.Event()) as source:
        source.clock.observe(LATER, 0.0)
        yield source


async def lead(connection: Connection, instance: str = "me") -> int:
    """The epoch to write with."""
    epoch = await acquire_lease(connection, instance)
    assert epoch is not None
    return epoch


MakeRecorder = Callable[[int], Recorder]


@pytest.fixture
def recorder(pool: Database, source: Binance) -> Iterator[MakeRecorder]:
    """Makes the recorder of an epoch."""
    with open_unpacker() as unpacker:
        yield lambda epoch: Recorder(pool, source, epoch, Counts(), unpacker)


async def record_file(writer: Recorder, content: bytes, asked: Run) -> int:
    """Record minutes of the day from its file."""
    assert isinstance(writer.source, Binance)
    return await writer.record_file("BTCUSDT", OfferedFile(writer.source.archives, FILE), content, asked)


async def write(connection: Connection, klines: list[Kline], epoch: int, source: str = "test") -> tuple[int, int, int]:
    """Upsert, and say how many were inserted, corrected and refused."""
    async with connection.transaction():
        outcome = await upsert_klines(connection, WriteTarget("BTCUSDT", source, epoch), klines)
    return outcome.inserted, outcome.corrected, len(outcome.refused)


async def test_correction_wins_and_keeps_created_at(connection: Connection) -> None:
    """What has not changed is not touched at all."""
    epoch = await lead(connection)
    assert await write(connection, [kline(at(0)), kline(at(1))], epoch) == (2, 0, 0)
    before = await connection.fetch("SELECT * FROM ticks ORDER BY minute")
    assert await write(connection, [kline(at(0), "101.5"), kline(at(1), "100.50")], epoch, "other") == (0, 1, 0)
    after = await connection.fetch("SELECT * FROM ticks ORDER BY minute")
    assert [tick["created_at"] for tick in after] == [tick["created_at"] for tick in before]
    assert str(after[0]["close"]) == "101.5"
    assert after[0]["corrected_at"] > after[0]["created_at"]
    assert after[0]["source"] == "other"
    assert after[1] == before[1]
    assert await rollup_differences(connection) == 0


async def test_exact_decimals_are_stored_as_they_came(connection: Connection) -> None:
    """With their last zeros."""
    price, volume = "12345678901234567890.12345678901234567890", "0.10000000"
    await write(connection, [kline(at(0), price, volume=volume)], await lead(connection))
    (tick,) = await stored(connection, "BTCUSDT", *run(0, 1))
    assert tick[4] == price
    assert tick[5] == volume


async def test_row_that_postgres_refuses_costs_no_other(connection: Connection) -> None:
    """What floats call equal, exact numbers may not."""
    bad = kline(at(3), "1.0", low="1.00000000000000000000000001")
    huge = kline(at(6), volume="0." + "0" * 20_000 + "1")
    page = [bad if minute == 3 else huge if minute == 6 else kline(at(minute)) for minute in range(10)]
    assert await write(connection, page, await lead(connection)) == (8, 0, 2)
    assert await rollup_differences(connection) == 0


async def test_row_that_postgres_refuses_is_asked_for_again_only_later(
    recorder: MakeRecorder, connection: Connection
) -> None:
    """It goes to the ledger, or the same page would be asked for without end."""
    epoch = await lead(connection)
    page = [kline(at(0)), kline(at(1), "1.0", low="1.00000000000000000000000001"), kline(at(2))]
    await recorder(epoch).record_page("BTCUSDT", KlinePage(page, []), run(0, 3))
    assert await select_absences(connection, "BTCUSDT", *run(0, 3), with_refused=True) == Runs([run(1, 2)])
    assert [gap.cause for gap in await select_gaps(connection, "BTCUSDT", *run(0, 3))] == ["not_collected"]


async def test_stale_epoch_stores_nothing_at_all(recorder: MakeRecorder, connection: Connection) -> None:
    """Neither ticks nor rollups nor ledger, whichever way a write goes."""
    old = recorder(await lead(connection))
    await connection.execute("UPDATE leadership SET epoch = epoch + 1, holder = 'another'")
    content = zipped(FILE.name, [row(at(minute)) for minute in range(5)])
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: old.record_kline("BTCUSDT", kline(at(0))),
        lambda: old.record_page("BTCUSDT", KlinePage([kline(at(0))], []), run(0, 2)),
        lambda: old.record_page("BTCUSDT", KlinePage([], []), run(0, 2)),
        lambda: old.record_newest("BTCUSDT", KlinePage([kline(at(0))], []), run(0, 5)),
        lambda: old.record_newest("BTCUSDT", KlinePage([], []), run(0, 5)),
        lambda: record_file(old, content, run(0, 5)),
    ]
    for attempt in writes:
        with pytest.raises(LeadershipLostError):
            await attempt()
    for table in ("ticks", "hourly_rollups", "daily_rollups", "absences"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_rollups_agree_with_the_ticks_whatever_is_written_side_by_side(
    recorder: MakeRecorder, connection: Connection, database: DatabaseOfTest
) -> None:
    """Live minutes, pages and files, by several connections into the same hours, new and corrected."""
    writer = recorder(await lead(connection))
    choice = random.Random(5)

    def some(first: int, length: int) -> list[Kline]:
        return [
            kline(at(minute), f"{choice.randrange(90, 110)}.{choice.randrange(100)}", trades=choice.randrange(9))
            for minute in range(first, first + length)
            if choice.random() < 0.8
        ]

    async def live() -> None:
        for _ in range(25):
            await writer.record_kline("BTCUSDT", some(choice.randrange(0, 300), 20)[0])

    async def page() -> None:
        for _ in range(8):
            first = choice.randrange(0, 250)
            await writer.record_page("BTCUSDT", KlinePage(some(first, 90), []), run(first, first + 90))

    async def archive() -> None:
        for first in (200, 0):
            rows = [row(one.minute, one.close, trades=one.trades) for one in some(first, 200)]
            await record_file(writer, zipped(FILE.name, rows), run(first, first + 200))

    async def watch() -> None:
        async with connected(database.collector_url) as own:
            for _ in range(10):
                assert await rollup_differences(own) == 0
                await asyncio.sleep(0.01)

    async with asyncio.timeout(60):
        await asyncio.gather(live(), live(), page(), page(), archive(), watch())
    assert await connection.fetchval("SELECT count(*) FROM ticks") > 250
    assert await rollup_differences(connection) == 0
    assert writer.counts.corrected > 0


@pytest.mark.parametrize("label", ["test", 'a "quoted", source'])
async def test_archive_is_stored_as_a_page_would_be(recorder: MakeRecorder, connection: Connection, label: str) -> None:
    """Quickly where it is sound, with care where it is not: the good rows are the same."""
    epoch = await lead(connection)
    writer = recorder(epoch)
    assert isinstance(writer.source, Binance)
    writer.source.label = writer.source.archives.label = label
    sound = [row(at(minute), f"{minute + 1}.10") for minute in range(100)]
    assert await record_file(writer, zipped(FILE.name, sound), run(0, 50)) == 50
    assert writer.counts.refused == {}
    spoilt = [row(at(minute), f"{minute + 1}.10", **({"high": "0.5"} if minute == 60 else {})) for minute in range(100)]
    assert await record_file(writer, zipped(FILE.name, spoilt), run(50, 100)) == 49
    assert writer.counts.refused == {"high below low": 1}
    minutes = [minute for minute in range(100) if minute != 60]
    ticks = await stored(connection, "BTCUSDT", *run(0, 100))
    assert [(tick[0], tick[4]) for tick in ticks] == [(DAY + minute * MINUTE, f"{minute + 1}.10") for minute in minutes]
    assert await connection.fetchval("SELECT DISTINCT source FROM ticks") == label
    assert await select_absences(connection, "BTCUSDT", *run(0, 100)) == Runs()
    assert await rollup_differences(connection) == 0


async def test_archive_beside_minutes_that_came_meanwhile(recorder: MakeRecorder, connection: Connection) -> None:
    """What was missing when it was planned may be there when it is stored."""
    writer = recorder(await lead(connection))
    await writer.record_kline("BTCUSDT", kline(at(10), "55"))
    rows = [row(at(minute)) for minute in range(20)]
    assert await record_file(writer, zipped(FILE.name, rows), run(0, 20)) == 19
    assert await connection.fetchval("SELECT count(*) FROM ticks") == 20
    assert await rollup_differences(connection) == 0


async def test_rollups_command_mends_what_a_bulk_load_left(database: DatabaseOfTest) -> None:
    """Missing, wrong and orphaned rollups; it may be repeated."""
    async with connected(database.owner_url) as owner:
        await owner.execute(
            """
            INSERT INTO ticks (symbol, minute, open, high, low, close, volume, quote_volume, trades,
                               taker_base_volume, taker_quote_volume, source)
            SELECT symbol, minute, 5, 9, 1, (random() * 7 + 1)::numeric(10, 3), 1.5, 7.5, 3, 1, 5, 'loaded'
            FROM unnest(ARRAY['BTCUSDT', 'ETHUSDT']) AS symbol,
                 generate_series($1::timestamptz, $1::timestamptz + interval '70 days', '7 minutes') AS minute
            """,
            DAY,
        )
        await owner.execute(
            "INSERT INTO hourly_rollups SELECT 'GONEUSDT', $1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, '', '', $1", DAY
        )
        await owner.execute(
            "INSERT INTO daily_rollups SELECT 'GONEUSDT', $1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, '', $1", DAY
        )
        assert await rollup_differences(owner) > 0
        for _ in range(2):
            hours = await rebuild_rollups(database.owner_url)
            assert await rollup_differences(owner) == 0
        assert hours == await owner.fetchval(
            "SELECT count(DISTINCT (symbol, date_bin('1 hour', minute, 'epoch'))) FROM ticks"
        )


async def test_ledger_splits_where_minutes_come_and_counts_the_askings(
    recorder: MakeRecorder, connection: Connection
) -> None:
    """What lies outside of what was asked keeps its own times."""
    writer = recorder(await lead(connection))
    await writer.record_page("BTCUSDT", KlinePage([], []), run(0, 100))
    await connection.execute("UPDATE absences SET asked_at = asked_at - interval '1 day', first_asked_at = asked_at")
    page = KlinePage([kline(at(minute)) for minute in range(45, 50)], [])
    await writer.record_page("BTCUSDT", page, run(40, 60))
    rows = await connection.fetch("SELECT * FROM absences ORDER BY start_minute")
    found = [(Run(entry["start_minute"], entry["end_minute"]), entry["times_asked"]) for entry in rows]
    assert found == [(run(0, 40), 1), (run(40, 45), 2), (run(50, 60), 2), (run(60, 100), 1)]
    assert rows[0]["first_asked_at"] == rows[1]["first_asked_at"]
    assert rows[1]["asked_at"] > rows[0]["asked_at"]
    gaps = await select_gaps(connection, "BTCUSDT", *run(0, 120))
    assert [(gap.start, gap.end, gap.cause) for gap in gaps] == [
        (*run(0, 45), "source_absent"),
        (*run(50, 100), "source_absent"),
        (*run(100, 120), "not_collected"),
    ]


async def test_parts_of_one_ledger_run_may_be_asked_for_side_by_side(
    recorder: MakeRecorder, connection: Connection
) -> None:
    """A long run that is due again is handed to several workers; none trips over another."""
    writer = recorder(await lead(connection))
    for turn in range(8):
        await writer.record_page("BTCUSDT", KlinePage([], []), run(0, 600))
        parts = [run(start, start + 100) for start in range(0, 600, 100)]
        await asyncio.gather(*(writer.record_page("BTCUSDT", KlinePage([], []), part) for part in parts))
        rows = await connection.fetch("SELECT start_minute, end_minute FROM absences ORDER BY start_minute")
        assert [Run(*entry) for entry in rows] == parts, turn


async def test_absences_are_due_again_when_their_pause_is_over(connection: Connection) -> None:
    """Oldest first; those of other symbols are not mixed in."""
    now = LATER
    async with connection.transaction():
        await record_answer(connection, "BTCUSDT", run(0, 10), Runs([run(2, 4), run(6, 7)]), now)
        await record_answer(connection, "ETHUSDT", run(0, 10), Runs([run(0, 10)]), now)
    assert await select_due_absences(connection, "BTCUSDT", now) == Runs()
    assert await select_due_absences(connection, "BTCUSDT", now + MINUTE) == Runs([run(2, 4), run(6, 7)])


async def test_live_reading_leaves_the_last_minute_open_and_known_absences_alone(
    recorder: MakeRecorder, connection: Connection
) -> None:
    """A minute that has just closed may still come; the ledger's own times of asking stand."""
    writer = recorder(await lead(connection))
    await writer.record_newest("BTCUSDT", KlinePage([kline(at(2))], []), run(0, 5))
    assert await select_absences(connection, "BTCUSDT", *run(0, 10)) == Runs([run(0, 2), run(3, 4)])
    await writer.record_newest("BTCUSDT", KlinePage([kline(at(2))], []), run(0, 6))
    assert await select_absences(connection, "BTCUSDT", *run(0, 10)) == Runs([run(0, 2), run(3, 5)])
    assert await connection.fetchval("SELECT max(times_asked) FROM absences") == 1


async def test_missing_minutes_are_read_off_the_rollups(connection: Connection) -> None:
    """Held against the ticks themselves, over days with any kind of hole."""
    choice = random.Random(11)
    epoch = await lead(connection)
    present = {minute for minute in range(1440 * 3) if not 700 <= minute < 2300 and choice.random() < 0.97}
    present |= set(range(2880, 4320))
    await write(connection, [kline(at(minute)) for minute in sorted(present)], epoch)
    for start, end in ((0, 4320), (100, 4000), (699, 2301), (2880, 4320), (3000, 3001)):
        missing = await select_missing(connection, "BTCUSDT", *run(start, end))
        minutes = [(gap.start - DAY) // MINUTE + offset for gap in missing for offset in range(gap.minutes)]
        assert minutes == sorted(set(range(start, end)) - present)


async def test_a_cancelled_copy_leaves_nothing_and_the_connection_usable(
    recorder: MakeRecorder, connection: Connection
) -> None:
    """As at the end of the grace."""
    writer = recorder(await lead(connection))
    content = zipped(FILE.name, [row(at(minute)) for minute in range(1440)])
    # Holding the write lock keeps the copy in the middle of its transaction.
    async with connection.transaction():
        await connection.execute("SELECT FROM leadership FOR UPDATE")
        task = asyncio.create_task(record_file(writer, content, run(0, 1440)))
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await connection.fetchval("SELECT count(*) FROM ticks") == 0
    assert await record_file(writer, content, run(0, 1440)) == 1440
    assert await rollup_differences(connection) == 0


async def test_several_migrations_at_once_are_one(empty_database: DatabaseOfTest) -> None:
    """And again over data, which stay."""
    async with asyncio.timeout(60):
        await asyncio.gather(*(migrate(empty_database.owner_url, {}) for _ in range(5)))
    async with connected(empty_database.owner_url) as owner:
        await owner.execute("INSERT INTO collected_symbols VALUES ('BTCUSDT', 0, now())")
        await migrate(empty_database.owner_url, {})
        assert await owner.fetchval("SELECT count(*) FROM collected_symbols") == 1
