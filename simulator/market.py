"""The exchange's data at an instant: closed minutes, the open candle, and the faults in them.

All answers, stream frames and archives are read from a `Market`. A `Page` has the rows of one day that exist now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from simulator.clock import Clock
from simulator.faults import Faults
from simulator.kline import DAY_MS, MINUTE_MS, Day, Integers, Kline
from simulator.open_candle import make_open_candle
from simulator.source import Source

LATE_ROW_SECONDS = 5.0
STALE_ROW_SECONDS = 5.0
CORRECTION_SECONDS = 30.0


@dataclass(frozen=True)
class Page:
    """Rows of one day in order of time.

    `indices` are their positions in the day; `replaced` has, by position, the rows that differ from the final ones.
    """

    day: Day
    indices: Integers
    replaced: dict[int, Kline] = field(default_factory=dict)

    def rows(self) -> list[str]:
        """Return the rows as JSON text."""
        every, indices = self.day.rows, self.indices.tolist()
        if not self.replaced:
            return [every[index] for index in indices]
        return [self.replaced[index].to_json() if index in self.replaced else every[index] for index in indices]

    def newest(self) -> Kline:
        """Return the last row."""
        index = int(self.indices[-1])
        return self.replaced.get(index) or self.day.kline(index)

    def units(self) -> dict[str, Integers]:
        """Return the rows by column as integers, decimals in hundred-millionths."""
        columns = {name: column[self.indices] for name, column in self.day.units.items()}
        for index, kline in self.replaced.items():
            at = int(np.searchsorted(self.indices, index))
            for name, value in kline._asdict().items():
                columns[name][at] = value if isinstance(value, int) else parse_units(value)
        return columns


def parse_units(text: str) -> int:
    """Convert decimal text to hundred-millionths."""
    return int(Decimal(text).scaleb(8))


class Market:
    """The minutes of a source, as the clock and the active faults show them."""

    def __init__(self, source: Source, clock: Clock, faults: Faults) -> None:
        self.source = source
        self.clock = clock
        self.faults = faults

    @property
    def symbols(self) -> tuple[str, ...]:
        """The traded symbols."""
        return self.source.symbols

    def offset_ms(self) -> int:
        """Return by how many ms the active faults move the exchange's time ahead of its clock."""
        return sum(int(fault.seconds_or(0) * 1000) for fault in self.faults.standing("clock_offset"))

    def now_ms(self) -> int:
        """Return the exchange's time, in ms since 1970 UTC."""
        return self.clock.now_ms() + self.offset_ms()

    def pages(self, symbol: str, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Page]:
        """Yield, by day, the minutes that REST has and that open from `start_ms` through `end_ms`; skips empty days."""
        now_ms = self.now_ms() - self._find_staleness_ms(symbol)
        end_ms = min(end_ms, now_ms)
        numbers = self._list_days(symbol, start_ms, end_ms)
        for number in reversed(numbers) if newest_first else numbers:
            day = self.source.day(symbol, number)
            indices = self._drop_late_rows(symbol, day, self._find_positions(symbol, day, start_ms, end_ms), now_ms)
            if len(indices):
                yield Page(day, indices, self._find_replaced(symbol, day, indices, now_ms))

    def published(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[Page]:
        """Yield, by day, the final rows that open in [`start_ms`, `end_ms`), as archives have them."""
        for number in self._list_days(symbol, start_ms, end_ms - 1):
            day = self.source.day(symbol, number)
            indices = self._find_positions(symbol, day, start_ms, end_ms - 1)
            if len(indices):
                yield Page(day, indices)

    def kline_at(self, symbol: str, minute_ms: int, now_ms: int) -> Kline | None:
        """Return the candle of the minute as it is at `now_ms`; None when there is none."""
        day = self.source.day(symbol, minute_ms // DAY_MS)
        indices = self._find_positions(symbol, day, minute_ms, min(minute_ms + MINUTE_MS - 1, now_ms))
        return Page(day, indices, self._find_replaced(symbol, day, indices, now_ms)).newest() if len(indices) else None

    def _find_staleness_ms(self, symbol: str) -> int:
        stale = [fault for fault in self.faults.standing("stale_row") if fault.covers(symbol, self.now_ms())]
        return max((int(fault.seconds_or(STALE_ROW_SECONDS) * 1000) for fault in stale), default=0)

    def _list_days(self, symbol: str, start_ms: int, end_ms: int) -> list[int]:
        """Return the numbers of the days that have minutes in the range; leaves out days that lie wholly in a hole."""
        have = self.source.days
        holes = self.faults.standing("hole")
        return [
            number
            for number in range(max(start_ms // DAY_MS, have.start), min(end_ms // DAY_MS + 1, have.stop))
            if not any(
                hole.covers(symbol, number * DAY_MS) and hole.covers(symbol, (number + 1) * DAY_MS - 1)
                for hole in holes
            )
        ]

    def _find_positions(self, symbol: str, day: Day, start_ms: int, end_ms: int) -> Integers:
        """Return the positions of the minutes that open from `start_ms` through `end_ms` and lie in no hole."""
        first, end = np.searchsorted(day.open_times, [start_ms, end_ms + 1])
        indices: Integers = np.arange(first, end)
        for hole in self.faults.standing("hole"):
            if hole.start is not None and hole.end is not None and hole.covers(symbol, hole.start):
                gone = np.searchsorted(day.open_times[indices], [hole.start, hole.end])
                indices = np.delete(indices, slice(*gone))
        return indices

    def _drop_late_rows(self, symbol: str, day: Day, indices: Integers, now_ms: int) -> Integers:
        for fault in self.faults.standing("late_row"):
            late_ms = int(fault.seconds_or(LATE_ROW_SECONDS) * 1000)
            closed_ms = day.open_times[indices] + MINUTE_MS
            recent = (closed_ms <= now_ms) & (closed_ms + late_ms > now_ms)
            picked = [
                bool(at) and fault.picks(symbol, int(day.open_times[i])) for i, at in zip(indices, recent, strict=True)
            ]
            indices = indices[~np.array(picked, dtype=np.bool_)]
        return indices

    def _find_replaced(self, symbol: str, day: Day, indices: Integers, now_ms: int) -> dict[int, Kline]:
        replaced = {}
        corrections = self.faults.standing("correction")
        longest_ms = max((int(fault.seconds_or(CORRECTION_SECONDS) * 1000) for fault in corrections), default=0)
        # Only the last rows of a page can be open or not corrected yet.
        for index in map(int, indices[np.searchsorted(day.open_times[indices], now_ms - MINUTE_MS - longest_ms) :]):
            kline = day.kline(index)
            elapsed_ms = now_ms - kline.open_time
            if elapsed_ms < MINUTE_MS:
                replaced[index] = make_open_candle(kline, elapsed_ms)
            elif any(
                fault.picks(symbol, kline.open_time)
                and elapsed_ms < MINUTE_MS + fault.seconds_or(CORRECTION_SECONDS) * 1000
                for fault in corrections
            ):
                replaced[index] = make_uncorrected_kline(kline)
        return replaced


def make_uncorrected_kline(kline: Kline) -> Kline:
    """Return the first version of a minute that is corrected later: it lacks the last five seconds."""
    return make_open_candle(kline, MINUTE_MS - 5000)
