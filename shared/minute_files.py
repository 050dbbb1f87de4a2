"""Files of minutes, Parquet or CSV, as tables with one set of names; every value as it is written.

CSV may be compressed with gzip or lie in a zip archive, as the exchange's files do, and may lack a header: it then has
the exchange's columns in their order. Columns go by the exchange's names or the usual ones for them. Open times may be
milliseconds, microseconds or nanoseconds, told apart by magnitude, or timestamps, or the text of these.

pyarrow is imported here, so that only a service that reads such files needs it.
"""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from shared.errors import UsageError
from shared.rolling import Floats, Integers

COLUMNS: Final = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades", "taker_base",
    "taker_quote",
)  # fmt: skip
"""The names in a table that was read, in the exchange's order."""

_OTHER_NAMES = {
    "open_time": ("open_time_ms", "timestamp", "minute"),
    "close_time": ("close_time_ms",),
    "volume": ("base_volume",),
    "quote_volume": ("quote_asset_volume",),
    "trades": ("number_of_trades", "count"),
    "taker_base": (
        "taker_base_volume", "taker_buy_base", "taker_buy_volume", "taker_buy_base_volume",
        "taker_buy_base_asset_volume",
    ),
    "taker_quote": (
        "taker_quote_volume", "taker_buy_quote", "taker_buy_quote_volume", "taker_buy_quote_asset_volume",
    ),
}  # fmt: skip
_HEADERLESS = (*COLUMNS, "ignore")
# Not NaN: that is a number, which some readers refuse.
_NULLS = ("", "#N/A", "N/A", "NA", "NULL", "n/a", "null")
# As milliseconds the year 1973, as seconds the year 5138; microseconds and nanoseconds pass it, times 1,000, in 1973.
_SMALLEST_MS = 100_000_000_000


def read_minute_file(path: Path, required: Sequence[str]) -> pa.Table:
    """Read a file's rows in their order: the names are of COLUMNS, times in ms, and CSV's other values are text.

    A column that the file lacks is left out. Raises UsageError, which names the file, where it is one of those
    `required` or the file cannot be read.
    """
    with refusing_unreadable(path):
        table = parquet.read_table(path) if path.suffix.lower() in {".parquet", ".pq"} else _read_csv(path)
        names = {name.strip().lower(): name for name in table.column_names}
        found = {}
        for column in COLUMNS:
            name = next((names[name] for name in (column, *_OTHER_NAMES.get(column, ())) if name in names), None)
            if name is not None:
                found[column] = table.column(name)
        lacking = [name for name in required if name not in found]
        if lacking:
            raise UsageError(
                f"{path} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; "
                f"its columns are {', '.join(table.column_names)}."
            )
        return pa.table({name: _milliseconds(column) if "time" in name else column for name, column in found.items()})


@contextmanager
def refusing_unreadable(path: Path) -> Iterator[None]:
    """Raise an error of pyarrow or of the disk as UsageError, which names the file."""
    try:
        yield
    # Arrow has errors of its own that are OSErrors or ValueErrors too, and those are of the content.
    except (pa.ArrowException, zipfile.BadZipFile, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UsageError(f"{path} is not a file of minutes in Parquet or CSV: {reason}.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error


def find_newest_rows(open_time: Integers) -> Integers:
    """Return the positions of rows in order of time, each minute once: of a repeated one the last row counts."""
    if (np.diff(open_time) > 0).all():
        return np.arange(len(open_time))
    # A stable sort keeps repeated minutes in their order.
    order = np.argsort(open_time, kind="stable")
    return np.asarray(order[np.append(np.diff(open_time[order]) > 0, [True])])


def to_floats(column: pa.ChunkedArray) -> Floats:
    """Return a column as an array, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _read_csv(path: Path) -> pa.Table:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    else:
        with pa.input_stream(path, compression="detect") as stream:
            content = stream.read()
    names = content[: content.find(b"\n")].decode().strip().split(",")
    has_header = not names[0].strip('"-').isdigit()
    if not has_header:
        names = list(_HEADERLESS[: len(names)])
    names = [name.strip('"') for name in names]
    return csv.read_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(column_names=None if has_header else names),
        # Decimals stay text: a number would lose their last zeros.
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=list(_NULLS), strings_can_be_null=True
        ),
    )


def _milliseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parse_times(column)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64())
    numbers = column.cast(pa.int64())
    largest: Any = pc.max(numbers).as_py()
    if largest is None:
        return numbers
    if largest < _SMALLEST_MS:
        raise ValueError("open_time looks like seconds, where milliseconds are wanted")
    microseconds, nanoseconds = _SMALLEST_MS * 1_000, _SMALLEST_MS * 1_000_000
    # Row by row: from 2025 on the exchange's files count microseconds, and a file may hold rows of both kinds.
    divisor = pc.if_else(
        pc.greater(numbers, nanoseconds), 1_000_000, pc.if_else(pc.greater(numbers, microseconds), 1_000, 1)
    )
    return pc.divide(numbers, divisor)


def _parse_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(column)
    if pc.all(pc.match_substring_regex(text, r"^\d+$")).as_py():
        return text.cast(pa.int64())
    plain = pc.replace_substring_regex(text, r"(Z|\+00:?00)$", "")
    return pc.replace_substring(plain, " ", "T").cast(pa.timestamp("ms"))
