"""Reads a range of minutes from a source, page by page, whatever the length and order of its answers."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from collector.klines import KlinePage, arrange_klines
from collector.sources.source import Source, cut_pages
from shared.instant import MINUTE, floor_minute
from shared.runs import Run
from shared.symbols import name_at_source


async def read_closed_klines(source: Source, symbol: str, wanted: Run) -> KlinePage:
    """Return the closed minutes of `wanted`.

    What counts as closed is decided before asking: a row that came back may be older than the answer's arrival.
    Raises ExchangeUnreachableError, or ExchangeRefusedError for a symbol that the exchange does not have.
    """
    closed_until = min(wanted.end, source.clock.open_minute())
    page = await _read_pages(source, symbol, wanted, closed_until, urgent=False)
    return arrange_klines(page, Run(wanted.start, closed_until))


async def read_newest_klines(source: Source, symbol: str, wanted: Run) -> tuple[KlinePage, bool]:
    """Return the minutes of `wanted`, and whether the exchange already has a minute after them.

    That later minute, open as it may be, proves that those before it are final.
    """
    asked = Run(wanted.start, wanted.end + MINUTE)
    # The last minute has only just closed, and the one after it may not be there: neither is waited for here.
    page = await _read_pages(source, symbol, asked, wanted.end - MINUTE, urgent=True)
    return arrange_klines(page, wanted), any(time >= wanted.end for time in _list_open_times(page))


async def _read_pages(source: Source, symbol: str, wanted: Run, due_until: datetime, *, urgent: bool) -> KlinePage:
    """Ask for `wanted`, and for what an answer leaves out at the end that it has not begun with, if that is due.

    So a host that gives fewer rows at a time than it was asked for does not make minutes look absent. Rows whose order
    says nothing, such as a single one, may have been cut off at either end.
    """
    found = KlinePage([], [])
    left = list(cut_pages(wanted, source.page_minutes))
    while left:
        asked = left.pop()
        page = await source.fetch_page(name_at_source(symbol), asked, urgent=urgent)
        found.klines.extend(page.klines)
        found.refused.extend(page.refused)
        times = [time for time in _list_open_times(page) if asked.start <= time < asked.end]
        if not times:
            continue
        # On the grid: some opens are off the minute by seconds.
        first, end = floor_minute(min(times)), floor_minute(max(times)) + MINUTE
        minutes = [kline.minute for kline in page.klines]
        if end < min(due_until, asked.end) and not _do_ascend(minutes[::-1]):
            left.append(Run(end, asked.end))
        if asked.start < first and not _do_ascend(minutes):
            left.append(Run(asked.start, first))
    return found


def _do_ascend(times: Sequence[datetime]) -> bool:
    """Whether there is an order in these times, and it is from old to new."""
    return len(times) > 1 and all(earlier < later for earlier, later in pairwise(times))


def _list_open_times(page: KlinePage) -> list[datetime]:
    """Return the open times that the rows of a page state, sound or not."""
    stated = [refusal.open_time for refusal in page.refused if refusal.open_time]
    return [kline.minute for kline in page.klines] + stated
