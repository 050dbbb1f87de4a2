"""Selects the rows of `/api/v3/klines`, and merges minutes into longer candles."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from simulator.kline import DAY_MS, MINUTE_MS, Kline, format_units
from simulator.market import Market, Page

# A start in this range is a time in seconds sent by mistake: as milliseconds it lies between 1970-01-12 and 1973.
_SECONDS_BY_MISTAKE = range(1_000_000_000, 100_000_000_000)


@dataclass(frozen=True)
class KlinesRequest:
    """A request for at most `limit` candles of `step_ms`, between the bounds that are given."""

    symbol: str
    step_ms: int = MINUTE_MS
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 500


def select_rows(market: Market, request: KlinesRequest) -> list[str]:
    """Return the rows as JSON text, oldest first.

    With a start these are the oldest from there on, without one the newest up to the end. As on the exchange, a start
    in seconds instead of milliseconds finds no row.
    """
    if request.start_ms is not None and request.start_ms in _SECONDS_BY_MISTAKE:
        return []
    have, step_ms = market.source.days, request.step_ms
    last_ms = have.stop * DAY_MS - 1
    start = max(have.start * DAY_MS, request.start_ms or 0)
    end = last_ms if request.end_ms is None else min(request.end_ms, last_ms)
    if step_ms > MINUTE_MS:
        # Candles are selected by their open time; the last one that opens before the end is whole.
        start, end = -(-start // step_ms) * step_ms, end // step_ms * step_ms + step_ms - 1
    if start > end:
        return []
    newest_first = request.start_ms is None
    pages = market.pages(request.symbol, start, end, newest_first=newest_first)
    rows = list(islice(_iterate_rows(pages, step_ms, newest_first=newest_first), request.limit))
    return rows[::-1] if newest_first else rows


def _iterate_rows(pages: Iterator[Page], step_ms: int, *, newest_first: bool) -> Iterator[str]:
    for page in pages:
        rows = page.rows() if step_ms == MINUTE_MS else merge_rows(page, step_ms)
        yield from reversed(rows) if newest_first else rows


def merge_rows(page: Page, step_ms: int) -> list[str]:
    """Merge a day's rows into candles of `step_ms`, which divides the day; returns them as JSON text."""
    units = page.units()
    opens = units["open_time"] // step_ms
    starts = np.flatnonzero(np.diff(opens, prepend=-1))
    ends = np.append(starts[1:], len(opens)) - 1
    high, low = np.maximum.reduceat(units["high"], starts), np.minimum.reduceat(units["low"], starts)
    sums = {
        name: np.add.reduceat(units[name], starts)
        for name in ("volume", "quote_volume", "trades", "taker_base", "taker_quote")
    }
    return [
        Kline(
            open_time=int(opens[start]) * step_ms,
            open=format_units(int(units["open"][start])),
            high=format_units(int(high[at])),
            low=format_units(int(low[at])),
            close=format_units(int(units["close"][end])),
            volume=format_units(int(sums["volume"][at])),
            close_time=(int(opens[start]) + 1) * step_ms - 1,
            quote_volume=format_units(int(sums["quote_volume"][at])),
            trades=int(sums["trades"][at]),
            taker_base=format_units(int(sums["taker_base"][at])),
            taker_quote=format_units(int(sums["taker_quote"][at])),
        ).to_json()
        for at, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
