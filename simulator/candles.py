"""Rows of `/api/v3/klines`: which ones a question means, and longer candles made of minutes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from simulator.kline import DAY_MS, MINUTE_MS, Kline, unit_text
from simulator.market import Market, Page

# Between these a start can only be seconds by mistake: 1970-01-12 to 1973 read as milliseconds.
_LIKE_SECONDS = range(1_000_000_000, 100_000_000_000)


@dataclass(frozen=True)
class Question:
    """What a klines request asks: at most `limit` candles of `step_ms` between the bounds that are given."""

    symbol: str
    step_ms: int = MINUTE_MS
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 500


def select_rows(market: Market, question: Question) -> list[str]:
    """The rows as JSON text, oldest first.

    With a start, the oldest from there; without, the newest up to the end. Seconds sent for milliseconds find nothing.
    """
    if question.start_ms is not None and question.start_ms in _LIKE_SECONDS:
        return []
    have, step_ms = market.source.days, question.step_ms
    last_ms = have.stop * DAY_MS - 1
    start = max(have.start * DAY_MS, question.start_ms or 0)
    end = last_ms if question.end_ms is None else min(question.end_ms, last_ms)
    if step_ms > MINUTE_MS:
        # A candle belongs to the time it opens: one that opened before the start is out, one before the end is whole.
        start, end = -(-start // step_ms) * step_ms, end // step_ms * step_ms + step_ms - 1
    if start > end:
        return []
    newest_first = question.start_ms is None
    pages = market.pages(question.symbol, start, end, newest_first=newest_first)
    rows = list(islice(_flat(pages, step_ms, newest_first=newest_first), question.limit))
    return rows[::-1] if newest_first else rows


def _flat(pages: Iterator[Page], step_ms: int, *, newest_first: bool) -> Iterator[str]:
    for page in pages:
        rows = page.rows() if step_ms == MINUTE_MS else longer_rows(page, step_ms)
        yield from reversed(rows) if newest_first else rows


def longer_rows(page: Page, step_ms: int) -> list[str]:
    """A day's rows merged to candles of a length that divides the day."""
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
            open=unit_text(int(units["open"][start])),
            high=unit_text(int(high[at])),
            low=unit_text(int(low[at])),
            close=unit_text(int(units["close"][end])),
            volume=unit_text(int(sums["volume"][at])),
            close_time=(int(opens[start]) + 1) * step_ms - 1,
            quote_volume=unit_text(int(sums["quote_volume"][at])),
            trades=int(sums["trades"][at]),
            taker_base=unit_text(int(sums["taker_base"][at])),
            taker_quote=unit_text(int(sums["taker_quote"][at])),
        ).to_json()
        for at, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
