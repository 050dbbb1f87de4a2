"""What the exchange knows at an instant: closed minutes, the open candle, and the faults in its data.

Every answer, stream frame and archive is read from here. A `Page` holds the rows of one day that can be seen now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from simulator.candle import partial_kline
from simulator.clock import Clock
from simulator.faults import Faults
from simulator.kline import DAY_MS, MINUTE_MS, Day, Integers, Kline
from simulator.source import Source

LATE_ROW_SECONDS = 5.0
STALE_ROW_SECONDS = 5.0
CORRECTION_SECONDS = 30.0


@dataclass(frozen=True)
class Page:
    """Rows of one day in order of time; `replaced` has those that differ from the final ones, by position."""

    day: Day
    indices: Integers
    replaced: dict[int, Kline] = field(default_factory=dict)

    def rows(self) -> list[str]:
        """The rows as JSON text."""
        every, indices = self.day.rows, self.indices.tolist()
        if not self.replaced:
            return [every[index] for index in indices]
        return [self.replaced[index].to_json() if index in self.replaced else every[index] for index in indices]

    def newest(self) -> Kline:
        """The last row as a candle."""
        index = int(self.indices[-1])
        return self.replaced.get(index) or self.day.kline(index)

    def units(self) -> dict[str, Integers]:
        """The rows by column as integers, decimals in hundred-millionths."""
        columns = {name: column[self.indices] for name, column in self.day.units.items()}
        for index, kline in self.replaced.items():
            at = int(np.searchsorted(self.indices, index))
            for name, value in kline._asdict().items():
                columns[name][at] = value if isinstance(value, int) else to_units_of(value)
        return columns


def to_units_of(text: str) -> int:
    """One decimal as hundred-millionths."""
    return int(Decimal(text).scaleb(8))


class Market:
    """The exchange's record as its clock and the standing faults let it be seen."""

    def __init__(self, source: Source, clock: Clock, faults: Faults) -> None:
        self.source = source
        self.clock = clock
        self.faults = faults

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that are traded."""
        return self.source.symbols

    def offset_ms(self) -> int:
        """How far the exchange's time is ahead of its clock, by fault."""
        return sum(int(fault.seconds_or(0) * 1000) for fault in self.faults.standing("clock_offset"))

    def now_ms(self) -> int:
        """The exchange's time."""
        return self.clock.now_ms() + self.offset_ms()

    def pages(self, symbol: str, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Page]:
        """What REST has of the minutes opened from `start_ms` through `end_ms`, by day; empty days are left out."""
        now_ms = self.now_ms() - self._staleness_ms(symbol)
        end_ms = min(end_ms, now_ms)
        numbers = self._days(symbol, start_ms, end_ms)
        for number in reversed(numbers) if newest_first else numbers:
            day = self.source.day(symbol, number)
            indices = self._without_late_rows(symbol, day, self._seen(symbol, day, start_ms, end_ms), now_ms)
            if len(indices):
                yield Page(day, indices, self._replaced(symbol, day, indices, now_ms))

    def published(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[Page]:
        """The final rows from `start_ms` to before `end_ms`, day by day, as archives hold them."""
        for number in self._days(symbol, start_ms, end_ms - 1):
            day = self.source.day(symbol, number)
            indices = self._seen(symbol, day, start_ms, end_ms - 1)
            if len(indices):
                yield Page(day, indices)

    def kline_at(self, symbol: str, minute_ms: int, now_ms: int) -> Kline | None:
        """The candle that opens within the minute as it stands at `now_ms`; None where there is none."""
        day = self.source.day(symbol, minute_ms // DAY_MS)
        indices = self._seen(symbol, day, minute_ms, min(minute_ms + MINUTE_MS - 1, now_ms))
        return Page(day, indices, self._replaced(symbol, day, indices, now_ms)).newest() if len(indices) else None

    def _staleness_ms(self, symbol: str) -> int:
        stale = [fault for fault in self.faults.standing("stale_row") if fault.covers(symbol, self.now_ms())]
        return max((int(fault.seconds_or(STALE_ROW_SECONDS) * 1000) for fault in stale), default=0)

    def _days(self, symbol: str, start_ms: int, end_ms: int) -> list[int]:
        """Numbers of the days that can have a minute of these; one in the midst of a hole need not be made."""
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

    def _seen(self, symbol: str, day: Day, start_ms: int, end_ms: int) -> Integers:
        """Positions of the minutes opened from `start_ms` through `end_ms`, without those in holes."""
        first, end = np.searchsorted(day.open_times, [start_ms, end_ms + 1])
        indices: Integers = np.arange(first, end)
        for hole in self.faults.standing("hole"):
            if hole.start is not None and hole.end is not None and hole.covers(symbol, hole.start):
                gone = np.searchsorted(day.open_times[indices], [hole.start, hole.end])
                indices = np.delete(indices, slice(*gone))
        return indices

    def _without_late_rows(self, symbol: str, day: Day, indices: Integers, now_ms: int) -> Integers:
        for fault in self.faults.standing("late_row"):
            late_ms = int(fault.seconds_or(LATE_ROW_SECONDS) * 1000)
            closed_ms = day.open_times[indices] + MINUTE_MS
            recent = (closed_ms <= now_ms) & (closed_ms + late_ms > now_ms)
            picked = [
                bool(at) and fault.picks(symbol, int(day.open_times[i])) for i, at in zip(indices, recent, strict=True)
            ]
            indices = indices[~np.array(picked, dtype=np.bool_)]
        return indices

    def _replaced(self, symbol: str, day: Day, indices: Integers, now_ms: int) -> dict[int, Kline]:
        replaced = {}
        corrections = self.faults.standing("correction")
        reach_ms = max((int(fault.seconds_or(CORRECTION_SECONDS) * 1000) for fault in corrections), default=0)
        # Only the end of the page can be open or await its correction.
        for index in map(int, indices[np.searchsorted(day.open_times[indices], now_ms - MINUTE_MS - reach_ms) :]):
            kline = day.kline(index)
            elapsed_ms = now_ms - kline.open_time
            if elapsed_ms < MINUTE_MS:
                replaced[index] = partial_kline(kline, elapsed_ms)
            elif any(
                fault.picks(symbol, kline.open_time)
                and elapsed_ms < MINUTE_MS + fault.seconds_or(CORRECTION_SECONDS) * 1000
                for fault in corrections
            ):
                replaced[index] = uncorrected_kline(kline)
        return replaced


def uncorrected_kline(kline: Kline) -> Kline:
    """The first version of a minute that will be corrected: its last five seconds are not in it yet."""
    return partial_kline(kline, MINUTE_MS - 5000)
