"""Klines as the collector knows them, whatever source they are from: exact text that may be stored, or a refusal."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from shared.instant import floor_minute
from shared.logging import get_logger
from shared.runs import Run

log = get_logger(__name__)

_SHOWN_REFUSALS = 3


class Kline(NamedTuple):
    """One closed minute: its open time, and decimal text; None for an amount that the source does not tell."""

    minute: datetime
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str | None = None
    trades: int | None = None
    taker_base_volume: str | None = None
    taker_quote_volume: str | None = None


class Refusal(NamedTuple):
    """A row that was not kept, and why."""

    reason: str
    row: str
    open_time: datetime | None = None
    """The open time that the row states, where it can be read."""
    is_spare: bool = False
    """Whether the row stood for no minute that was asked for, or for one that another row gave."""

    @property
    def minute(self) -> datetime | None:
        """The minute that the row claims to be, where its open time is one."""
        return self.open_time if self.open_time and self.open_time == floor_minute(self.open_time) else None


class KlinePage(NamedTuple):
    """Klines and the rows that were refused."""

    klines: list[Kline]
    refused: list[Refusal]


def arrange_klines(page: KlinePage, wanted: Run) -> KlinePage:
    """Return the klines of `wanted` in the order of their minutes, each once.

    One at or after the end is the candle that is still open, or was not asked for: it is left out and no fault. Of a
    repeated minute the last wins, as a correction does.
    """
    start, end = wanted
    klines = [kline for kline in page.klines if start <= kline.minute < end]
    refused = page.refused + [
        refuse_kline(kline, "before the range asked for") for kline in page.klines if kline.minute < start
    ]
    # Most pages are in order already, and to see that is quicker than to bring them into it.
    if any(earlier.minute >= later.minute for earlier, later in pairwise(klines)):
        found: dict[datetime, Kline] = {}
        for kline in klines:
            if kline.minute in found:
                refused.append(refuse_kline(found[kline.minute], "repeated minute"))
            found[kline.minute] = kline
        klines = [found[minute] for minute in sorted(found)]
    return KlinePage(klines, refused)


def refuse_kline(kline: Kline, reason: str) -> Refusal:
    """Return the refusal of a row that is sound, but is not needed."""
    return Refusal(reason, show_row(tuple(kline)), kline.minute, is_spare=True)


def show_row(row: object) -> str:
    """Return a row as it is logged and remembered, cut to a length that cannot flood either."""
    return repr(row)[:200]


def log_refusals(refused: Sequence[Refusal], symbol: str, origin: str) -> None:
    """Log how many rows were refused and why, with a few of them; a bad page must not flood the log."""
    if not refused:
        return
    reasons: dict[str, int] = {}
    for refusal in refused:
        reasons[refusal.reason] = reasons.get(refusal.reason, 0) + 1
    log.warning(
        "klines_refused",
        symbol=symbol,
        origin=origin,
        count=len(refused),
        reasons=reasons,
        rows=[refusal.row for refusal in refused[:_SHOWN_REFUSALS]],
    )
