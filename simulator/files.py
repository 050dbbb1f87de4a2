"""Minutes from Parquet or CSV files, served back exactly as they are written.

Accepted are Parquet, CSV, CSV compressed with gzip, and the exchange's zip archives. Columns go by the exchange's names
or the usual ones for them; a CSV without a header has the exchange's twelve columns in order. Open times are
milliseconds or microseconds, told apart by magnitude. Rows may be out of order, and of a repeated minute the last one
counts. Where the close time is absent it is the minute's last millisecond; absent sums are zero.
"""

import re
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from shared.errors import UsageError
from simulator.kline import DAY_MS, DECIMALS, EMPTY, MINUTE_MS, SCHEMA, Day, Integers, to_text, to_units

DAYS_KEPT = 64  # encoded, about 400 kB each

_NAMES = {
    "open_time": ("open_time", "open_time_ms", "timestamp"),
    "close_time": ("close_time", "close_time_ms"),
    "quote_volume": ("quote_volume", "quote_asset_volume"),
    "trades": ("trades", "count", "number_of_trades"),
    "taker_base": ("taker_base", "taker_buy_base", "taker_buy_volume", "taker_buy_base_asset_volume"),
    "taker_quote": ("taker_quote", "taker_buy_quote", "taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
}
_REQUIRED = ("open_time", "open", "high", "low", "close", "volume")
_HEADERLESS = [*SCHEMA.names, "ignore"]
# Milliseconds reach this in the year 5138; microseconds passed it in 1973.
_SMALLEST_MICROSECONDS = 100_000_000_000_000
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
    """The symbol that the first file's name begins with, as the exchange's archives do; else BTCUSDT."""
    match = _SYMBOL.match(paths[0].name)
    return match[1] if match else "BTCUSDT"


def _load(paths: Sequence[Path]) -> Any:
    """All files as one record batch in order of time, each minute once."""
    table = pa.concat_tables([_read(path) for path in paths])
    if table.num_rows == 0:
        raise UsageError("The files of --data hold no minute; give files with at least one row.")
    open_times = table.column("open_time").to_numpy()
    if not (np.diff(open_times) > 0).all():
        # A stable sort keeps repeated minutes in the order of the files, so that the last of each run counts.
        order = np.argsort(open_times, kind="stable")
        last = np.append(np.diff(open_times[order]) > 0, [True])
        table = table.take(pa.array(order[last]))
    return table.combine_chunks().to_batches()[0]


def _read(path: Path) -> Any:
    try:
        table = pyarrow.parquet.read_table(path) if path.suffix == ".parquet" else _read_csv(path)
        return _normalised(table, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (pa.ArrowException, zipfile.BadZipFile, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path} is not a file of minutes in Parquet or CSV: {reason}") from error


def _read_csv(path: Path) -> Any:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    else:
        with pa.input_stream(path, compression="detect") as stream:
            content = stream.read()
    line = content[: content.find(b"\n")].decode().strip()
    names = line.split(",")
    headerless = names[0].lstrip("-").isdigit()
    if headerless:
        names = _HEADERLESS[: len(names)]
    return pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(column_names=names if headerless else None),
        # Decimals stay text: a number would lose their last zeros.
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )


def _normalised(table: Any, path: Path) -> Any:
    """The table in `SCHEMA`, refused where a value is missing or is not a number."""
    found = {}
    for name in SCHEMA.names:
        column = next((alias for alias in _NAMES.get(name, (name,)) if alias in table.column_names), None)
        if column is not None:
            found[name] = table.column(column)
        elif name in _REQUIRED:
            raise UsageError(f"{path} has no column {name}; its columns are {', '.join(table.column_names)}.")
    open_time = _milliseconds(found["open_time"])
    columns = {"open_time": open_time}
    for name in SCHEMA.names[1:]:
        if name == "close_time":
            column = _milliseconds(found[name]) if name in found else pc.add(open_time, MINUTE_MS - 1)
        elif name == "trades":
            column = found[name].cast(pa.int64()) if name in found else pc.multiply(open_time, 0)
        elif name in found:
            column = _decimal_text(found[name])
        else:
            column = pa.array(np.full(len(open_time), "0.00000000"), pa.string())
        columns[name] = column
    normalised = pa.table(columns, schema=SCHEMA)
    for name in SCHEMA.names:
        if normalised.column(name).null_count:
            raise UsageError(f"{path} has a row without {name}; every row needs one.")
        if name in DECIMALS:
            for chunk in normalised.column(name).chunks:
                to_units(chunk)  # raises for what is not a decimal with at most eight places
    return normalised


def _decimal_text(column: Any) -> Any:
    """Text as it is; a column of floating point numbers as text with eight places."""
    if pa.types.is_floating(column.type):
        return to_text(to_units(pa.concat_arrays(column.chunks)))
    return column.cast(pa.string())


def _milliseconds(column: Any) -> Any:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    column = column.cast(pa.int64())
    return pc.if_else(pc.greater(column, _SMALLEST_MICROSECONDS), pc.divide(column, 1000), column)
