"""Rows of klines, checked: what the exchange sends becomes exact text that may be stored, or a refusal with its reason.

Prices and amounts stay the decimal text that came; floats serve only to compare. A row has the exchange's order:
open time, open, high, low, close, volume, close time, quote volume, trades, taker base volume, taker quote volume.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shared.logging import get_logger

log = get_logger(__name__)

MINUTE_MS = 60_000
# More trades than any minute can have; a day's sum of such counts must fit a bigint.
_TRADES_END = 10**15
_SHOWN_REFUSALS = 3
_SHOWN_CHARACTERS = 200


class Kline(NamedTuple):
    """One closed minute: its open in ms since 1970 UTC, and decimal text."""

    minute_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int
    taker_base_volume: str
    taker_quote_volume: str


class Label(NamedTuple):
    """What every row of a write carries, and the epoch that proves that it may be written."""

    symbol: str
    source: str
    epoch: int


class Refusal(NamedTuple):
    """A row that was not kept, and why."""

    reason: str
    row: str
    minute_ms: int | None = None
    """The minute that the row claims to be, where that can be read."""
    is_spare: bool = False
    """Whether the row stood for no minute that was asked for, or for one that another row gave."""


class KlinePage(NamedTuple):
    """What one answer gave, in the order of its minutes, each once."""

    klines: list[Kline]
    refused: list[Refusal]


def parse_klines(rows: Iterable[object], start_ms: int, end_ms: int, ticks_per_ms: int = 1) -> KlinePage:
    """Check rows and keep those whose minute opens in [start_ms, end_ms).

    A row at or after `end_ms` is the candle that is still open, or not asked for: it is left out and no fault. Times
    count `ticks_per_ms` in a millisecond (1,000 where they are microseconds). Of a repeated minute the last row wins,
    as a correction does.
    """
    found: dict[int, Kline] = {}
    refused: list[Refusal] = []
    unit = MINUTE_MS * ticks_per_ms
    last_ms = -1
    ordered = True
    for row in rows:
        try:
            time, open_, high, low, close, volume, _, quote, trades, taker_base, taker_quote = row[:11]  # type: ignore[index]
            minute, remainder = divmod(int(time), unit)
            "".join((open_, high, low, close, volume, quote, taker_base, taker_quote))  # all text, or TypeError
            count = int(trades)
            lowest = float(low)
            highest = float(high)
            # One chain a row, for speed; _reason says afterwards which link broke. NaN breaks every comparison.
            sound = (
                remainder == 0
                and 0.0 < lowest <= float(open_) <= highest < 1e300
                and lowest <= float(close) <= highest
                and 0.0 <= float(volume) < 1e300
                and 0.0 <= float(quote) < 1e300
                and 0.0 <= float(taker_base) < 1e300
                and 0.0 <= float(taker_quote) < 1e300
                and 0 <= count < _TRADES_END
                and trades.__class__ in _COUNT_TYPES
                and time.__class__ in _COUNT_TYPES
            )
        except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
            sound = False
        if not sound:
            refused.append(Refusal(_reason(row, unit), repr(row)[:_SHOWN_CHARACTERS], _claimed_minute(row, unit)))
            continue
        minute_ms = minute * MINUTE_MS
        if minute_ms >= end_ms:
            continue
        if minute_ms < start_ms:
            refused.append(Refusal("before the range asked for", repr(row)[:_SHOWN_CHARACTERS], is_spare=True))
            continue
        if minute_ms > last_ms:
            last_ms = minute_ms
        else:
            ordered = False
            if minute_ms in found:
                refused.append(Refusal("repeated minute", repr(found[minute_ms])[:_SHOWN_CHARACTERS], is_spare=True))
        found[minute_ms] = Kline(minute_ms, open_, high, low, close, volume, quote, count, taker_base, taker_quote)
    klines = list(found.values())
    if not ordered:
        klines.sort()
    return KlinePage(klines, refused)


def log_refusals(refused: Sequence[Refusal], symbol: str, origin: str) -> None:
    """Say how many rows were refused and why, with a few of them; a bad page must not flood the log."""
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


_COUNT_TYPES = (int, str)
_TEXT_FIELDS = {
    1: "open",
    2: "high",
    3: "low",
    4: "close",
    5: "volume",
    7: "quote volume",
    9: "taker base volume",
    10: "taker quote volume",
}


def _reason(row: object, unit: int) -> str:
    """Name the first thing that is wrong with a row that the fast check refused."""
    if not isinstance(row, list | tuple):
        return "not a row"
    if len(row) < 11:
        return "missing fields"
    time = _integer(row[0])
    if time is None:
        return "open time is not a whole number"
    if time % unit:
        return "minute is not on the grid"
    numbers = {}
    for index, name in _TEXT_FIELDS.items():
        try:
            if not isinstance(row[index], str):
                return f"{name} is not decimal text"
            numbers[index] = float(row[index])
        except ValueError:
            return f"{name} is not a number"
        if not abs(numbers[index]) < 1e300:
            return f"{name} is not finite"
        if numbers[index] < 0 or (index <= 4 and numbers[index] == 0):
            return f"{name} is {'negative' if numbers[index] < 0 else 'zero'}"
    trades = _integer(row[8])
    if trades is None or not 0 <= trades < _TRADES_END:
        return "trades is not a count"
    return "high below low" if numbers[2] < numbers[3] else "open or close outside low to high"


def _claimed_minute(row: object, unit: int) -> int | None:
    """The minute of a refused row, where its first field is one."""
    time = _integer(row[0]) if isinstance(row, list | tuple) and row else None
    return None if time is None or time % unit else time // unit * MINUTE_MS


def _integer(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        return None
