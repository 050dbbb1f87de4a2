"""Two sources collected at once: each with its own clock, pages and pauses, and neither waits for the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import collector.sources
from collector.backfill_command import BackfillCommand
from collector.reading import read_closed_klines, read_newest_klines
from collector.settings import CollectorSettings
from collector.sources.registry import list_sources, load_source, open_sources
from collector.sources.source import Source
from collector.verify import verify
from collector.worker import Worker
from shared.database.connection import Connection
from shared.database.database import connect
from shared.errors import ExchangeUnreachableError, UsageError
from shared.gaps import Gap, select_gaps, select_record_range
from shared.instant import MINUTE, floor_minute
from shared.runs import Run, Runs
from shared.settings import Settings
from simulator.clock import RunningClock
from simulator.server import Simulator, running
from tests.collecting import Setup, collecting, collector_setup, eventually, final_count, rollup_differences, stored
from tests.postgres import Database
from tests.simulated import NOON
from tests.sources.server import CoinbaseServer, serving

SYMBOL = "coinbase:BTC-USD"
# The second exchange's clock shows another time than the first one's.
EVENING = NOON + timedelta(hours=7, seconds=20)
DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def coinbase_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tests' folder of sources beside the collector's own."""
    folder = str(Path(__file__).parents[1] / "sources")
    monkeypatch.setattr(collector.sources, "__path__", [*collector.sources.__path__, folder])
    monkeypatch.setattr("collector.backfill.LOOK_AGAIN_SECONDS", 0.3)


@dataclass(frozen=True)
class Scene:
    """Both exchanges, the settings of a collector for them, and a look into the database."""

    simulator: Simulator
    coinbase: CoinbaseServer
    coinbase_url: str
    setup: Setup
    owner: Connection

    async def is_whole(self, symbol: str, start: datetime, end: datetime, minutes: int) -> bool:
        """Whether so many minutes of a symbol are stored."""
        count = "SELECT count(*) FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3"
        return bool(await self.owner.fetchval(count, symbol, start, end) == minutes)

    async def until_binance_is_whole(self, start: datetime, end: datetime) -> None:
        """Wait for the first exchange's minutes."""
        wanted = final_count(self.simulator, "BTCUSDT", start, end)
        await eventually(lambda: self.is_whole("BTCUSDT", start, end, wanted))

    async def until_coinbase_is_whole(self, start: datetime, end: datetime) -> None:
        """Wait for the second exchange's minutes, and hold them against what it has."""
        minutes = self.coinbase.minutes(Run(start, end))
        await eventually(lambda: self.is_whole(SYMBOL, start, end, len(minutes)))
        for minute, values in zip(minutes, await stored(self.owner, SYMBOL, start, end), strict=True):
            _, low, high, open_, close, volume = self.coinbase.row(minute)
            assert values[0] == minute
            assert [float(text) for text in values[1:6]] == [open_, high, low, close, volume]
            assert values[6:] == (None, None, None, None)


def coinbase_settings(url: str) -> Settings:
    """Settings that its folder brings."""
    return load_source("coinbase").SourceSettings.load(url=url)


@asynccontextmanager
async def scene(
    database: Database, server: CoinbaseServer | None = None, *, coinbase_url: str = "", **overrides: object
) -> AsyncIterator[Scene]:
    """Two exchanges whose clocks run, hours apart."""
    simulator = Simulator(clock=RunningClock(NOON + timedelta(seconds=1)))
    server = server or CoinbaseServer(RunningClock(EVENING))
    async with (
        running(simulator) as url,
        serving(server) as served_url,
        connect(database.owner_url, "test") as owner,
    ):
        symbols = ("BTCUSDT", SYMBOL)
        setup = collector_setup(database, url, symbols=symbols, **({"backfill_since": "90m"} | overrides))
        sources = setup.sources | {"coinbase": coinbase_settings(coinbase_url or served_url)}
        yield Scene(simulator, server, served_url, Setup(setup.collector, sources), owner)


async def test_both_are_collected_by_their_own_clocks_and_silence_is_null(database: Database) -> None:
    """Every minute is there once, a hole is the exchange's, and the comparison says that all is equal."""
    end = floor_minute(EVENING)
    start = end - 90 * MINUTE
    hole = Run(end - 40 * MINUTE, end - 33 * MINUTE)
    server = CoinbaseServer(RunningClock(EVENING), holes=Runs([hole]), cap=25)
    async with scene(database, server) as both:
        async with collecting(both.setup):
            await both.until_coinbase_is_whole(start, end)
            await both.until_binance_is_whole(NOON - 90 * MINUTE, NOON)

            async def is_settled() -> bool:
                return await select_gaps(both.owner, SYMBOL, start, end) == [Gap(*hole, "source_absent")]

            await eventually(is_settled)

            async def clocks_are_told() -> bool:
                now = "SELECT exchange_now($1)"
                ours, theirs = await both.owner.fetchval(now, "BTCUSDT"), await both.owner.fetchval(now, SYMBOL)
                late = both.coinbase.now() - theirs
                return bool(late < timedelta(seconds=2) and timedelta(hours=6) < theirs - ours < timedelta(hours=8))

            await eventually(clocks_are_told)
        record = await select_record_range(both.owner, SYMBOL)
        assert record is not None
        assert record.start == start
        assert await both.owner.fetchval("SELECT max(minute) FROM ticks WHERE symbol = 'BTCUSDT'") < NOON + MINUTE
        sources = await both.owner.fetch("SELECT DISTINCT symbol, source FROM ticks ORDER BY symbol")
        assert [tuple(row) for row in sources] == [("BTCUSDT", "simulated"), (SYMBOL, "coinbase")]
        sums = "SELECT sum(volume), sum(quote_volume), sum(trades) FROM daily_rollups WHERE symbol = $1"
        for symbol, untold in ((SYMBOL, [False, True, True]), ("BTCUSDT", [False, False, False])):
            (told,) = await both.owner.fetch(sums, symbol)
            assert [value is None for value in told] == untold
        assert await rollup_differences(both.owner) == 0
        found = await verify(both.setup.collector, both.setup.sources, None, None)
        assert [(one.symbol, one.different, one.refused) for one in found] == [("BTCUSDT", 0, 0), (SYMBOL, 0, 0)]
        assert min(one.equal for one in found) >= 80


async def test_comparison_names_what_is_stored_and_the_source_does_not_tell(database: Database) -> None:
    """A stored amount is a difference where the exchange has none."""
    end = floor_minute(EVENING)
    async with scene(database) as both:
        async with collecting(both.setup):
            await both.until_coinbase_is_whole(end - 90 * MINUTE, end)
        await both.owner.execute(
            "UPDATE ticks SET trades = 7 WHERE symbol = $1 AND minute = $2", SYMBOL, end - 9 * MINUTE
        )
        only = CollectorSettings.load(database_url=database.collector_url, symbols=(SYMBOL,))
        settings = {"coinbase": both.setup.sources["coinbase"]}
        (found,) = await verify(only, settings, (end - 30 * MINUTE).isoformat(), end.isoformat())
        assert (found.equal, found.different) == (29, 1)
        assert found.differences[0].endswith("differs: trades 7 stored, none at the exchange")


@pytest.mark.parametrize("asking", ["coinbase", "binance"])
async def test_a_pause_of_one_exchange_is_obeyed_there_alone(database: Database, asking: str) -> None:
    """It is kept under the exchange's name, and the other's minutes come as they close."""
    async with scene(database) as both, collecting(both.setup):
        evening = floor_minute(EVENING)
        await both.until_coinbase_is_whole(evening - 90 * MINUTE, evening)
        await both.until_binance_is_whole(NOON - 90 * MINUTE, NOON)
        if asking == "coinbase":
            both.coinbase.retry_after = 300
            both.coinbase.clock.set(evening + 3 * MINUTE)
        else:
            both.simulator.faults.add("429,seconds=300")
            both.simulator.clock.set(NOON + 3 * MINUTE)

        async def pauses() -> list[str]:
            rows = await both.owner.fetch("SELECT source FROM exchange_pauses WHERE until > now() + interval '200 s'")
            return [row["source"] for row in rows]

        async def is_paused() -> bool:
            return await pauses() == [asking]

        await eventually(is_paused, 40)
        asked = len(both.coinbase.asked) if asking == "coinbase" else len(both.simulator.log.since(0))
        if asking == "coinbase":
            both.simulator.clock.set(NOON + 2 * MINUTE + timedelta(seconds=1))
            await both.until_binance_is_whole(NOON, NOON + 2 * MINUTE)
            assert len(both.coinbase.asked) == asked
        else:
            both.coinbase.clock.set(evening + 2 * MINUTE + timedelta(seconds=1))
            await both.until_coinbase_is_whole(evening, evening + 2 * MINUTE)
            assert len(both.simulator.log.since(0)) == asked
        assert await pauses() == [asking]


async def test_an_exchange_that_cannot_be_reached_keeps_no_other_waiting(database: Database) -> None:
    """Nothing of it is recorded, and everything of the other."""
    async with scene(database, coinbase_url=DEAD) as both, collecting(both.setup):
        await both.until_binance_is_whole(NOON - 90 * MINUTE, NOON)
        assert await both.owner.fetchval("SELECT array_agg(source) FROM exchange_clocks") == ["binance"]
        assert await both.owner.fetchval("SELECT array_agg(symbol) FROM collected_symbols") == ["BTCUSDT"]


@pytest.mark.parametrize("url", ["", DEAD])
async def test_backfill_fills_what_each_exchange_gives(database: Database, url: str) -> None:
    """Of one that cannot be reached the command tells at its end, when the others' holes are filled."""
    stop = asyncio.Event()
    async with scene(database, coinbase_url=url) as both:
        async with open_sources(both.setup.sources, stop) as sources:
            worker = Worker(both.setup.collector, sources, stop)
            command = BackfillCommand(worker, "3h", "1h")
            if url:
                with pytest.raises(ExchangeUnreachableError, match="Coinbase does not answer"):
                    await worker.run(command.lead, command.follow)
            else:
                await worker.run(command.lead, command.follow)
        await both.until_binance_is_whole(NOON - timedelta(hours=3), NOON - timedelta(hours=1))
        if not url:
            evening = floor_minute(EVENING)
            await both.until_coinbase_is_whole(evening - timedelta(hours=3), evening - timedelta(hours=1))


async def test_exchange_that_comes_later_is_collected_from_then_on(database: Database) -> None:
    """Without a restart."""
    server = CoinbaseServer(RunningClock(EVENING), retry_after=1)
    end = floor_minute(EVENING)
    async with scene(database, server) as both, collecting(both.setup):
        await both.until_binance_is_whole(NOON - 90 * MINUTE, NOON)
        assert await both.owner.fetchval("SELECT count(*) FROM ticks WHERE symbol = $1", SYMBOL) == 0
        server.retry_after = None
        await both.until_coinbase_is_whole(end - 90 * MINUTE, end)


async def test_product_that_the_exchange_lacks_is_named(database: Database) -> None:
    """By the source's own sentence, as one error of the whole collector."""
    async with scene(database, CoinbaseServer(RunningClock(EVENING), product="ETH-USD")) as both:
        with pytest.raises(ExceptionGroup) as caught:
            async with collecting(both.setup):
                await asyncio.sleep(20)
        assert caught.group_contains(UsageError, match="Coinbase has no product BTC-USD; correct COLLECTOR_SYMBOLS")


@asynccontextmanager
async def source_at(server: CoinbaseServer) -> AsyncIterator[Source]:
    """The source over such a server, with the time known."""
    async with serving(server) as url, open_sources({"coinbase": coinbase_settings(url)}, asyncio.Event()) as sources:
        await sources["coinbase"].measure_time()
        yield sources["coinbase"]


@pytest.mark.parametrize("cap", [1, 7, 299, 300])
@pytest.mark.parametrize("shows_open_candle", [True, False])
async def test_pages_that_begin_with_the_newest_row_are_read_to_their_beginning(
    cap: int, shows_open_candle: bool
) -> None:
    """However few rows come at a time, with holes at the ends and within, and never the open candle."""
    end = floor_minute(EVENING)
    wanted = Run(end - 40 * MINUTE, end + 5 * MINUTE)
    holes = Runs([Run(wanted.start, wanted.start + 3 * MINUTE), Run(end - 20 * MINUTE, end - 15 * MINUTE)])
    server = CoinbaseServer(RunningClock(EVENING), holes=holes, cap=cap, shows_open_candle=shows_open_candle)
    async with source_at(server) as source:
        page = await read_closed_klines(source, SYMBOL, wanted)
        newest, has_later = await read_newest_klines(source, SYMBOL, Run(end - 10 * MINUTE, end))
    assert [kline.minute for kline in page.klines] == server.minutes(Run(wanted.start, end))
    assert not page.refused
    assert len(newest.klines) == 10
    assert has_later == shows_open_candle
    assert {Decimal(kline.volume) > 0 for kline in page.klines} == {True}


async def test_ranges_longer_than_a_page_are_asked_for_in_several() -> None:
    """A source says how much is worth asking for at once."""
    end = floor_minute(EVENING)
    server = CoinbaseServer(RunningClock(EVENING))
    async with source_at(server) as source:
        page = await read_closed_klines(source, SYMBOL, Run(end - 990 * MINUTE, end))
    assert len(page.klines) == 990
    assert server.asked.count("/products/BTC-USD/candles") == 4


def test_a_source_is_found_by_the_name_of_its_folder() -> None:
    """Its symbols are allowed from then on, and no list of sources has to change."""
    assert list_sources() == ["binance", "coinbase"]
    settings = CollectorSettings.load(database_url="postgresql://x@y/z", symbols="btcusdt, Coinbase:btc-usd")
    assert settings.symbols == ("BTCUSDT", SYMBOL)
