"""What is asked of an exchange whose answers are not as Binance's: short pages, nonsense rows, paths it has not."""

import asyncio
from collections.abc import Callable

import pytest
import structlog

from collector.contact import make_contact
from collector.counts import Counts
from collector.reading import read_closed_klines, read_newest_klines
from collector.recorder import find_refused_minutes
from collector.sources.binance.klines import parse_klines
from collector.sources.binance.source import INVALID_SYMBOL
from shared.errors import ExchangeRefusedError, UsageError
from shared.instant import MINUTE, to_milliseconds
from shared.runs import Run, Runs
from tests.klines import row
from tests.peculiar_exchange import NOW, Peculiar, source_at

START = NOW - 3_000 * MINUTE
START_MS = to_milliseconds(START)


@pytest.mark.parametrize("cap", [7, 100, 500, 999, 1000])
async def test_page_is_whole_however_few_rows_come_at_a_time(cap: int) -> None:
    """What a host cuts off is asked for, and not taken for absent."""
    async with source_at(Peculiar(cap)) as source:
        page = await read_closed_klines(source, "BTCUSDT", Run(START, START + 1_000 * MINUTE))
        newest, has_later = await read_newest_klines(source, "BTCUSDT", Run(NOW - 990 * MINUTE, NOW))
    assert [kline.minute for kline in page.klines] == [START + n * MINUTE for n in range(1_000)]
    assert len(newest.klines) == 990
    assert has_later


@pytest.mark.parametrize(("kept", "questions"), [(slice(400), 2), (slice(3, None), 1), (slice(3, 400), 2)])
async def test_page_that_ends_early_is_asked_on_once(kept: slice, questions: int) -> None:
    """Where the exchange really has no more, one further question settles it; before its oldest row it has none."""
    async with source_at(peculiar := Peculiar(spoil=lambda rows: rows[kept] if len(rows) == 1_000 else [])) as source:
        page = await read_closed_klines(source, "BTCUSDT", Run(START, START + 1_000 * MINUTE))
    assert len(page.klines) == len(range(1_000)[kept])
    assert peculiar.asked.count("/api/v3/klines") == questions


async def test_hole_where_the_live_window_begins_costs_no_further_question() -> None:
    """It would be asked for with each look at the newest minute."""
    async with source_at(peculiar := Peculiar(spoil=lambda rows: rows[2:])) as source:
        newest, has_later = await read_newest_klines(source, "BTCUSDT", Run(NOW - 15 * MINUTE, NOW))
    assert (len(newest.klines), has_later) == (13, True)
    assert peculiar.asked.count("/api/v3/klines") == 1


@pytest.mark.parametrize(
    "cut",
    [
        lambda rows: rows[::-1][:7],
        lambda rows: rows[-1:],
        lambda rows: rows[:1],
        lambda rows: [*rows[-1:], *rows[-7:-1]],
        lambda rows: rows[10:12][::-1] + rows[9:10] + rows[12:13] if len(rows) > 12 else rows,
    ],
    ids=["newest first", "newest alone", "oldest alone", "newest out of order", "middle out of order"],
)
async def test_page_is_whole_in_whatever_order_its_rows_are_cut_off(
    cut: Callable[[list[object]], list[object]],
) -> None:
    """Only an order proves that nothing was left out before the first row, or after the last."""
    async with source_at(Peculiar(spoil=cut)) as source:
        page = await read_closed_klines(source, "BTCUSDT", Run(START, START + 40 * MINUTE))
    assert [kline.minute for kline in page.klines] == [START + n * MINUTE for n in range(40)]


async def test_exchange_without_info_is_well() -> None:
    """It neither makes the host fail nor the gate slow, and is not waited for."""
    async with source_at(peculiar := Peculiar(knows_info=False)) as source:
        await make_contact(source, ["BTCUSDT", "ETHUSDT"], asyncio.Event())
        assert not source.gate.is_failing
        await read_closed_klines(source, "BTCUSDT", Run(START, START + MINUTE))
        await make_contact(source, ["BTCUSDT", "ETHUSDT"], asyncio.Event())
    assert peculiar.asked.count("/api/v3/exchangeInfo") == 1


async def test_limits_are_asked_for_once_for_all_symbols() -> None:
    """A question weighs the same for one symbol and for many."""
    async with source_at(peculiar := Peculiar()) as source:
        await make_contact(source, ["BTCUSDT", "ETHUSDT"], asyncio.Event())
    assert peculiar.asked.count("/api/v3/exchangeInfo") == 1


@pytest.mark.parametrize("symbols", [("NOSUCH",), ("BTCUSDT", "NOSUCH")])
async def test_symbol_that_the_exchange_lacks_is_named(symbols: tuple[str, ...]) -> None:
    """Also among others, where the exchange itself does not say which of them it is."""
    async with source_at(Peculiar()) as source:
        with pytest.raises(UsageError, match="no symbol NOSUCH; correct COLLECTOR_SYMBOLS"):
            await make_contact(source, symbols, asyncio.Event())


async def test_refusal_carries_the_exchange_s_own_code() -> None:
    """By which it is told from others, rather than by its text."""
    async with source_at(Peculiar()) as source:
        with pytest.raises(ExchangeRefusedError) as refused:
            await source.fetch_weight_limit(["NOSUCH"])
    assert refused.value.code == INVALID_SYMBOL


async def test_hosts_that_fail_are_one_line_of_the_log() -> None:
    """However many there are before one that answers."""
    dead_urls = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    with structlog.testing.capture_logs() as entries:
        async with source_at(Peculiar(), *dead_urls) as source:
            await read_closed_klines(source, "BTCUSDT", Run(START, START + MINUTE))
    (entry,) = (entry for entry in entries if entry["log_level"] == "warning")
    assert entry["event"] == "host_failed_over"
    assert set(entry["failed"]) == set(dead_urls)


@pytest.mark.parametrize(
    ("spoilt", "lost"),
    [
        ([START_MS + 60_000, "NaN"], [1]),
        (["no time", "1"], [1, 2]),
        ([START_MS + 30_000, "1"], [1, 2]),
        ([START_MS + 9 * 60_000, "1"], []),
        ([START_MS, "1"], []),
    ],
    ids=["named", "unreadable", "off the grid", "not missing", "there all the same"],
)
async def test_minutes_of_refused_rows_are_told_from_absent_ones(spoilt: list[object], lost: list[int]) -> None:
    """A row that does not tell its minute may stand for any that is missing."""
    rows: list[object] = [row(START), spoilt]
    async with source_at(Peculiar(spoil=lambda _: rows)) as source:
        page = await read_closed_klines(source, "BTCUSDT", Run(START, START + 3 * MINUTE))
    missing = Runs([Run(START + MINUTE, START + 3 * MINUTE)])
    runs = find_refused_minutes(page.refused, missing)
    assert [
        minute for minute in range(5) if any(run.start <= START + minute * MINUTE < run.end for run in runs)
    ] == lost


def test_refused_row_counts_once_however_often_it_comes() -> None:
    """Each answer over its minute has it again."""
    counts = Counts()
    page_refused = parse_klines([[START_MS, "NaN"]]).refused
    assert counts.add_refused("BTCUSDT", page_refused) == page_refused
    assert counts.add_refused("BTCUSDT", page_refused) == []
    assert counts.add_refused("ETHUSDT", page_refused) == page_refused
    assert counts.refused.total() == 2
