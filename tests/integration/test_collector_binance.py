"""What is asked of an exchange whose answers are not as Binance's: short pages, nonsense rows, paths it has not."""

import pytest
import structlog

from collector.binance import INVALID_SYMBOL
from collector.klines import parse_klines
from collector.recorder import Counts, refused_minutes
from shared.errors import ExchangeRefusedError, UsageError
from shared.instant import MINUTE, from_milliseconds
from shared.runs import Run, Runs
from tests.klines import MINUTE_MS, row
from tests.peculiar_exchange import NOW_MS, Peculiar, exchange_at

START_MS = NOW_MS - 3_000 * MINUTE_MS


@pytest.mark.parametrize("cap", [7, 100, 500, 999, 1000])
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
        await exchange.greet(["BTCUSDT", "ETHUSDT"])
    assert peculiar.asked.count("/api/v3/exchangeInfo") == 1


async def test_limits_are_asked_for_once_for_all_symbols() -> None:
    """A question weighs the same for one symbol and for many."""
    async with exchange_at(peculiar := Peculiar()) as exchange:
        await exchange.greet(["BTCUSDT", "ETHUSDT"])
    assert peculiar.asked.count("/api/v3/exchangeInfo") == 1


@pytest.mark.parametrize("symbols", [("NOSUCH",), ("BTCUSDT", "NOSUCH")])
async def test_symbol_that_the_exchange_lacks_is_named(symbols: tuple[str, ...]) -> None:
    """Also among others, where the exchange itself does not say which of them it is."""
    async with exchange_at(Peculiar()) as exchange:
        with pytest.raises(UsageError, match="no symbol NOSUCH; correct COLLECTOR_SYMBOLS"):
            await exchange.greet(symbols)


async def test_refusal_carries_the_exchange_s_own_code() -> None:
    """By which it is told from others, rather than by its text."""
    async with exchange_at(Peculiar()) as exchange:
        with pytest.raises(ExchangeRefusedError) as refused:
            await exchange.binance.weight_limit(["NOSUCH"])
    assert refused.value.code == INVALID_SYMBOL


async def test_hosts_that_fail_are_one_line_of_the_log() -> None:
    """However many there are before one that answers."""
    dead_urls = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    with structlog.testing.capture_logs() as entries:
        async with exchange_at(Peculiar(), *dead_urls) as exchange:
            await exchange.binance.klines("BTCUSDT", START_MS, START_MS + MINUTE_MS)
    (entry,) = (entry for entry in entries if entry["log_level"] == "warning")
    assert entry["event"] == "host_failed_over"
    assert set(entry["failed"]) == set(dead_urls)


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
    missing = Runs.of(Run(first + MINUTE, first + 3 * MINUTE))
    runs = refused_minutes(page.refused, missing)
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
