"""Minutes from Parquet or CSV files, served back exactly as they are written.

Rows may be out of order, and of a repeated minute the last one counts. Where the close time is absent it is the
minute's last millisecond. A file without a column for quote volume, trades or taker volumes is served with 0 there,
because the exchange's protocol has no null: a collector then stores zeros, not unknown amounts.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import UsageError
from shared.minute_files import find_newest_rows, read_minute_file, refusing_unreadable
from simulator.kline import DAY_MS, DECIMALS, EMPTY, MINUTE_MS, SCHEMA, Day, Integers, to_text, to_units

DAYS_KEPT = 64  # encoded, about 400 kB each

_REQUIRED = ("open_time", "open", "high", "low", "close", "volume")
_SYMBOL = re.compile(r"([A-Z0-9]{5,20})-1m-")


class Files:
    """A source that serves one symbol's minutes from files; raises UsageError for a file that cannot be used."""

    def __init__(self, paths: Sequence[Path], symbol: str | None = None) -> None:
        self.symbols = (symbol or guess_symbol(paths),)
        self._columns = _load(paths)
        self._open_times: Integers = self._columns.column("open_time").to_numpy()
        self.days = range(int(self._open_times[0]) // DAY_MS, int(self._open_times[-1]) // DAY_MS + 1)
        self._day = lru_cache(maxsize=DAYS_KEPT)(self._cut_day)

    @property
    def end_ms(self) -> int:
        """When the last minute closed."""
        return int(self._open_times[-1]) + MINUTE_MS

    def day(self, symbol: str, number: int) -> Day:
        """A day of the files; empty for another symbol or where they have none."""
        return self._day(number) if symbol in self.symbols else Day(EMPTY)

    def _cut_day(self, number: int) -> Day:
        first, end = np.searchsorted(self._open_times, [number * DAY_MS, (number + 1) * DAY_MS])
        return Day(self._columns.slice(int(first), int(end - first)))


def guess_symbol(paths: Sequence[Path]) -> str:
    """Return the symbol that the first file's name begins with, as the exchange's archives do; else BTCUSDT."""
    match = _SYMBOL.match(paths[0].name)
    return match[1] if match else "BTCUSDT"


def _load(paths: Sequence[Path]) -> Any:
    """All files as one record batch in order of time, each minute once."""
    table = pa.concat_tables([_read(path) for path in paths])
    if table.num_rows == 0:
        raise UsageError("The files of --data hold no minute; give files with at least one row.")
    rows = find_newest_rows(table.column("open_time").to_numpy())
    return table.take(pa.array(rows)).combine_chunks().to_batches()[0]


def _read(path: Path) -> Any:
    """The table of a file in `SCHEMA`, refused where a value is missing or is not a number."""
    found = read_minute_file(path, _REQUIRED)
    with refusing_unreadable(path):
        columns = {name: _normalise(found, name) for name in SCHEMA.names}
        table = pa.table(columns, schema=SCHEMA)
        for name in SCHEMA.names:
            if table.column(name).null_count:
                raise UsageError(f"{path} has a row without {name}; every row needs one.")
            if name in DECIMALS:
                for chunk in table.column(name).chunks:
                    to_units(chunk)  # raises for what is not a decimal with at most eight places
        return table


def _normalise(table: Any, name: str) -> Any:
    if name in table.column_names:
        column = table.column(name)
        return _decimal_text(column) if name in DECIMALS else column.cast(pa.int64())
    open_time = table.column("open_time")
    match name:
        case "close_time":
            return pc.add(open_time, MINUTE_MS - 1)
        case "trades":
            return pc.multiply(open_time, 0)
        case _:
            return pa.array(np.full(len(open_time), "0.00000000"), pa.string())


def _decimal_text(column: Any) -> Any:
    """Text as it is; a column of floating point numbers as text with eight places."""
    if pa.types.is_floating(column.type):
        return to_text(to_units(pa.concat_arrays(column.chunks)))
    return column.cast(pa.string())
