"""What is asked of an exchange whose answers are not as Binance's: short pages, nonsense rows, paths it has not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.exchange import Exchange, open_exchange
from collector.klines import parse_klines
from collector.recorder import Counts, refused_runs
from collector.settings import CollectorSettings
from shared.gaps import Run
from shared.instant import MINUTE, from_milliseconds
from tests.klines import MINUTE_MS, row

NOW_MS = 1_709_640_000_000
START_MS = NOW_MS - 3_000 * MINUTE_MS


@dataclass
class Peculiar:
    """An exchange with every minute up to now, that gives at most `cap` rows at a time."""

    cap: int = 1000
    knows_info: bool = True
    spoil: Callable[[list[object]], list[object]] = lambda rows: rows
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer the three paths that the collector asks."""
        self.asked.append(request.path)
        if request.path == "/api/v3/time":
            return web.json_response({"serverTime": NOW_MS})
        if request.path != "/api/v3/klines":
            return web.json_response({}) if self.knows_info else web.Response(status=404, text="Not Found")
        start = int(request.query["startTime"])
        end = min(int(request.query["endTime"]) + 1, NOW_MS + MINUTE_MS)
        limit = min(self.cap, int(request.query["limit"]))
        minutes = range(-(-start // MINUTE_MS) * MINUTE_MS, end, MINUTE_MS)[:limit]
        return web.json_response(self.spoil([row(minute) for minute in minutes]))


@asynccontextmanager
async def exchange_at(peculiar: Peculiar) -> AsyncIterator[Exchange]:
    """The collector's view of it, with the time known."""
    application = web.Application()
    application.router.add_get("/{path:.*}", peculiar.answer)
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")
        settings = CollectorSettings.load(
            database_url="postgresql://nobody@127.0.0.1:1/none", rest_urls=(url,), stream_url="", archive_url=""
        )
        async with open_exchange(settings, asyncio.Event()) as exchange:
            await exchange.binance.measure_time()
            yield exchange


@pytest.mark.parametrize("cap", [100, 500, 999, 1000])
async def test_page_is_whole_however_few_rows_come_at_a_time(cap: int) -> None:
    """What a host cuts off is asked for, and not taken for absent."""
    async with exchange_at(Peculiar(cap)) as exchange:
        page = await exchange.binance.klines("BTCUSDT", START_MS, START_MS + 1_000 * MINUTE_MS)
        newest, has_later = await exchange.binance.newest_klines("BTCUSDT", NOW_MS - 990 * MINUTE_MS, NOW_MS)
    assert [kline.minute_ms for kline in page.klines] == [START_MS + n * MINUTE_MS for n in range(1_000)]
    assert len(newest.klines) == 990
    assert has_later


async def test_page_that_ends_early_is_asked_on_once() -> None:
    """Where the exchange really has no more, one further question settles it."""
    async with exchange_at(
        peculiar := Peculiar(spoil=lambda rows: rows[:400] if len(rows) == 1_000 else [])
    ) as exchange:
        page = await exchange.binance.klines("BTCUSDT", START_MS, START_MS + 1_000 * MINUTE_MS)
    assert len(page.klines) == 400
    assert peculiar.asked.count("/api/v3/klines") == 2


async def test_exchange_without_info_is_well() -> None:
    """It neither makes the host fail nor the gate slow, and is not waited for."""
    async with exchange_at(peculiar := Peculiar(knows_info=False)) as exchange:
        await exchange.greet(["BTCUSDT", "ETHUSDT"])
        assert not exchange.gate.is_failing
        await exchange.binance.klines("BTCUSDT", START_MS, START_MS + MINUTE_MS)
    assert peculiar.asked.count("/api/v3/exchangeInfo") == 1


@pytest.mark.parametrize(
    ("spoilt", "lost"),
    [
        ([START_MS + MINUTE_MS, "NaN"], [1]),
        (["no time", "1"], [1, 2]),
        ([START_MS + 30_000, "1"], [1, 2]),
        ([START_MS + 9 * MINUTE_MS, "1"], []),
        ([START_MS, "1"], []),
    ],
    ids=["named", "unreadable", "off the grid", "not missing", "there all the same"],
)
async def test_minutes_of_refused_rows_are_told_from_absent_ones(spoilt: list[object], lost: list[int]) -> None:
    """A row that does not tell its minute may stand for any that is missing."""
    rows: list[object] = [row(START_MS), spoilt]
    async with exchange_at(Peculiar(spoil=lambda _: rows)) as exchange:
        page = await exchange.binance.klines("BTCUSDT", START_MS, START_MS + 3 * MINUTE_MS)
    first = from_milliseconds(START_MS)
    missing = [Run(first + MINUTE, first + 3 * MINUTE)]
    runs = refused_runs(page.refused, missing)
    assert [
        minute for minute in range(5) if any(run.start <= first + minute * MINUTE < run.end for run in runs)
    ] == lost


def test_refused_row_counts_once_however_often_it_comes() -> None:
    """Each answer over its minute has it again."""
    counts = Counts()
    page_refused = parse_klines([[START_MS, "NaN"]], START_MS, NOW_MS).refused
    assert counts.add_refused("BTCUSDT", page_refused) == page_refused
    assert counts.add_refused("BTCUSDT", page_refused) == []
    assert counts.add_refused("ETHUSDT", page_refused) == page_refused
    assert counts.refused.total() == 2
