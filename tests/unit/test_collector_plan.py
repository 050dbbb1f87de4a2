"""What is asked for next, and what an answer says of what is missing."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.ledger import FIRST_PAUSE, LONGEST_PAUSE_OLD, LONGEST_PAUSE_YOUNG, YOUNG, choose_pause
from collector.plan import Plan
from collector.sources.binance.archives import Archives, OfferedFile
from collector.sources.binance.source import PAGE_LIMIT
from collector.sources.clock import ExchangeClock
from collector.sources.request_gate import RequestGate
from collector.sources.source import cut_pages
from collector.verify import compare_minutes
from shared.instant import EPOCH, MINUTE
from shared.runs import Run, Runs
from tests.klines import kline

BASE = datetime(2025, 3, 5, tzinfo=UTC)
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
PAGE = PAGE_LIMIT * MINUTE


@asynccontextmanager
async def archives(url: str) -> AsyncIterator[Archives]:
    """Archives from which nothing is fetched."""
    async with aiohttp.ClientSession() as session:
        gate = RequestGate("test", ExchangeClock(), asyncio.Event(), weight_per_minute=1200)
        yield Archives(session, url, "test", gate, PAGE_LIMIT)


def make_plan(holes: Runs, offered: Archives) -> Plan:
    """The plan of a backfill that can use these archives."""
    return Plan(holes, partial(offered.choose_part, "BTCUSDT", now=NOW))


holes_strategy = st.lists(
    st.tuples(st.integers(1, 3000), st.integers(1, 60_000) | st.integers(1, 2000)), min_size=1, max_size=6
)


def holes_of(pairs: list[tuple[int, int]]) -> list[Run]:
    """Holes that follow each other: (minutes between, minutes long)."""
    start, holes = BASE, []
    for between, length in pairs:
        start += between * MINUTE
        holes.append(Run(start, start + length * MINUTE))
        start = holes[-1].end
    return holes


@pytest.mark.parametrize("url", ["", "http://archive.invalid"])
@given(holes_strategy)
def test_parts_are_the_holes_cut_up_newest_first(url: str, pairs: list[tuple[int, int]]) -> None:
    """Disjoint, nothing left out, nothing else; a page holds what one answer can, a file what it covers."""
    holes = holes_of(pairs)

    async def check() -> None:
        async with archives(url) as offered:
            plan = make_plan(Runs(holes), offered)
            parts: list[Run] = []
            while part := plan.next():
                run, file = part
                parts.append(run)
                if file is None:
                    assert 0 < run.minutes <= PAGE_LIMIT
                else:
                    assert isinstance(file, OfferedFile)
                    assert file.file.minutes.start <= run.start < run.end <= file.file.minutes.end
                    file.finish()
            joined: list[Run] = []
            for run in parts:
                assert run.start < run.end
                if joined and joined[-1].start == run.end:
                    joined[-1] = Run(run.start, joined[-1].end)
                else:
                    joined.append(run)
            assert joined == holes[::-1]

    asyncio.run(check())


async def test_long_hole_uses_files_for_all_but_its_newest_day() -> None:
    """Though it hardly ever ends at midnight."""
    async with archives("http://archive.invalid") as offered:
        end = datetime(2026, 1, 20, 11, 58, tzinfo=UTC)
        plan = make_plan(Runs([Run(end - timedelta(days=80), end)]), offered)
        names = []
        while part := plan.next():
            names.append(part[1].name if part[1] else part[0].minutes)
        days = [f"BTCUSDT-1m-2026-01-{day:02}" for day in range(19, 6, -1)]
        assert names[:14] == [718, *days]
        assert names[-2:] == ["BTCUSDT-1m-2025-12", "BTCUSDT-1m-2025-11"]


@given(holes_strategy, st.integers(0, 5), st.integers(0, 200_000), st.integers(0, 200_000))
def test_withdrawn_minutes_are_not_handed_out(pairs: list[tuple[int, int]], taken: int, one: int, other: int) -> None:
    """And are returned, so that they can be settled."""
    first, last = sorted((BASE + one * MINUTE, BASE + other * MINUTE))

    async def check() -> None:
        async with archives("") as offered:
            plan = make_plan(Runs(holes_of(pairs)), offered)
            handed = [part[0] for _ in range(taken) if (part := plan.next())]
            withdrawn = plan.withdraw(first, last)
            while part := plan.next():
                handed.append(part[0])
            assert all(first <= run.start < run.end <= last for run in withdrawn)
            assert not Runs(handed[taken:]) & Runs([Run(first, last)])
            total = sum(run.minutes for run in holes_of(pairs))
            assert sum(run.minutes for run in handed) + sum(run.minutes for run in withdrawn) == total

    asyncio.run(check())


@given(st.integers(1, 5000))
def test_pages_are_full_from_the_newest_on(minutes: int) -> None:
    """Only the oldest is shorter."""
    hole = Run(BASE, BASE + minutes * MINUTE)
    found = list(cut_pages(hole, PAGE_LIMIT))
    assert [page.end - page.start for page in found[:-1]] == [PAGE] * (len(found) - 1)
    assert found[0].end == hole.end
    assert found[-1].start == hole.start
    assert all(later.start == earlier.end for later, earlier in itertools.pairwise(found))


@given(st.integers(1, 10_000), st.integers(0, 10_000_000))
def test_asks_again_ever_more_rarely_but_never_gives_the_young_up(times: int, age_minutes: int) -> None:
    """The pause doubles, to 6 hours for a week, and to 30 days afterwards."""
    age = age_minutes * MINUTE
    pause = choose_pause(times, age)
    assert FIRST_PAUSE <= pause <= (LONGEST_PAUSE_YOUNG if age < YOUNG else LONGEST_PAUSE_OLD)
    assert pause <= choose_pause(times + 1, age)
    assert pause <= choose_pause(times, age + timedelta(days=8))
    assert choose_pause(1, age) == FIRST_PAUSE


def values(price: str) -> tuple[Decimal, ...]:
    """A minute's nine values."""
    return tuple(Decimal(value) for value in kline(EPOCH, price)[1:] if value is not None)


def test_comparison_says_each_difference_once_with_its_minute() -> None:
    """Missing here, missing there, and other values, by name; the same number written otherwise is equal."""
    at = [BASE + number * MINUTE for number in range(6)]
    ours = {at[0]: values("1.50"), at[1]: values("2"), at[3]: values("3"), at[5]: values("5")}
    theirs = {at[0]: values("1.5"), at[2]: values("2"), at[3]: values("4")}
    nonsense = {at[0]: "repaired by another row", at[4]: "missing fields", at[5]: "high below low"}
    assert list(compare_minutes(ours, theirs, nonsense)) == [
        "2025-03-05T00:01:00Z is stored, but the exchange does not have it",
        "2025-03-05T00:02:00Z is not stored, but the exchange has it",
        (
            "2025-03-05T00:03:00Z differs: open 3 stored, 4 at the exchange, high 3 stored, 4 at the exchange, "
            "low 3 stored, 4 at the exchange, close 3 stored, 4 at the exchange"
        ),
        "2025-03-05T00:04:00Z is not stored, and the exchange's row for it makes no sense: missing fields",
        "2025-03-05T00:05:00Z is stored, and the exchange's row for it makes no sense: high below low",
    ]
