"""Binance's rows of klines, checked: what the exchange sends becomes exact text that may be stored, or a refusal.

Prices and amounts stay the decimal text that came; floats serve only to compare. A row has the exchange's order:
open time, open, high, low, close, volume, close time, quote volume, trades, taker base volume, taker quote volume.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from collector.klines import Kline, KlinePage, Refusal, show_row
from shared.instant import EPOCH, MINUTE, MINUTE_MS

# More trades than any minute can have; a day's sum of such counts must fit a bigint.
_TRADES_END = 10**15
# The year 3871: beyond it times of another unit begin, and soon after it dates that Python does not know.
_MINUTES_END = 10**9


def parse_klines(rows: Iterable[object], ticks_per_ms: int = 1) -> KlinePage:
    """Check rows, and return the klines in the order in which they came.

    Times count `ticks_per_ms` in a millisecond: 1,000 where they are microseconds.
    """
    klines: list[Kline] = []
    refused: list[Refusal] = []
    unit = MINUTE_MS * ticks_per_ms
    for row in rows:
        try:
            time, open_, high, low, close, volume, _, quote, trades, taker_base, taker_quote = row[:11]  # type: ignore[index]
            number, remainder = divmod(int(time), unit)
            "".join((open_, high, low, close, volume, quote, taker_base, taker_quote))  # all text, or TypeError
            count = int(trades)
            lowest = float(low)
            highest = float(high)
            # One chain a row, for speed; _reason says afterwards which link broke. NaN breaks every comparison.
            sound = (
                remainder == 0
                and abs(number) < _MINUTES_END
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
        if sound:
            minute = EPOCH + number * MINUTE
            klines.append(Kline(minute, open_, high, low, close, volume, quote, count, taker_base, taker_quote))
        else:
            refused.append(Refusal(_find_reason(row, unit), show_row(row), _read_open_time(row, ticks_per_ms)))
    return KlinePage(klines, refused)


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


def _find_reason(row: object, unit: int) -> str:
    """Name the first thing that is wrong with a row that the fast check refused."""
    if not isinstance(row, list | tuple):
        return "not a row"
    if len(row) < 11:
        return "missing fields"
    time = _read_integer(row[0])
    if time is None:
        return "open time is not a whole number"
    if time % unit:
        return "minute is not on the grid"
    if not abs(time // unit) < _MINUTES_END:
        return "open time is beyond any date"
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
    trades = _read_integer(row[8])
    if trades is None or not 0 <= trades < _TRADES_END:
        return "trades is not a count"
    return "high below low" if numbers[2] < numbers[3] else "open or close outside low to high"


def _read_open_time(row: object, ticks_per_ms: int) -> datetime | None:
    """Return the open time of a refused row, where its first field is one."""
    time = _read_integer(row[0]) if isinstance(row, list | tuple) and row else None
    if time is None or not abs(time) < _MINUTES_END * MINUTE_MS * ticks_per_ms:
        return None
    return EPOCH + timedelta(microseconds=time * 1000 // ticks_per_ms)


def _read_integer(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        return None
