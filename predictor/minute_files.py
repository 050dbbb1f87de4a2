"""Minutes from files, Parquet or CSV, in the exchange's names: whatever order they come in, each minute once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from shared.bars import Bars
from shared.errors import UsageError
from shared.instant import MINUTE_MS
from shared.rolling import Floats, Integers

_TIMES = ("open_time_ms", "open_time", "timestamp", "minute")
_PRICES = ("open", "high", "low", "close")
_OTHER_NAMES = {
    "volume": ("volume", "base_volume"),
    "quote_volume": ("quote_volume", "quote_asset_volume"),
    "trades": ("trades", "number_of_trades", "count"),
    "taker_base_volume": (
        "taker_base_volume", "taker_base", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume",
    ),
}  # fmt: skip
# 5138 in seconds, 1973 in ms; above, microseconds and nanoseconds begin in 1973 too.
_SMALLEST_MS = 1e11


def read_minutes(paths: Sequence[Path]) -> Bars:
    """Read one symbol's minutes from files; of a repeated minute the last one read wins, as a correction does.

    A row without a whole, positive and ordered price is left out. Volumes may be missing: a quote volume is then
    the volume at the mean price, and what nothing tells is NaN. Raises UsageError that names the file.
    """
    pieces = [_read(path) for path in paths]
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    # Stable, so that of equal times the later row stays behind; reversed, it is the first that unique finds.
    time = columns.pop("open_time")
    _, newest = np.unique(time[::-1], return_index=True)
    rows = len(time) - 1 - newest
    kept = {name: values[rows] for name, values in columns.items()}
    ordered = (
        (kept["low"] > 0)
        & (kept["low"] <= np.minimum(kept["open"], kept["close"]))
        & (kept["high"] >= np.maximum(kept["open"], kept["close"]))
        & np.isfinite(kept["high"])
    )
    if not ordered.any():
        raise UsageError(f"{paths[0]} has no minute with sound prices.")
    kept = {name: values[ordered] for name, values in kept.items()}
    typical = (kept["high"] + kept["low"] + kept["close"]) / 3.0
    quote = np.where(np.isfinite(kept["quote_volume"]), kept["quote_volume"], kept["volume"] * typical)
    return Bars(
        open_time=time[rows][ordered],
        interval_ms=MINUTE_MS,
        open=kept["open"],
        high=kept["high"],
        low=kept["low"],
        close=kept["close"],
        volume=kept["volume"],
        quote_volume=quote,
        trades=kept["trades"],
        taker_base_volume=kept["taker_base_volume"],
    )


def guess_symbol(paths: Sequence[Path]) -> str:
    """The symbol that the first file's name begins with, as the exchange's files do; else the whole name."""
    stem = paths[0].name.partition(".")[0]
    return stem.partition("-")[0].upper() or "UNKNOWN"


def _read(path: Path) -> dict[str, Any]:
    table = _table(path)
    names = {name.strip().lower(): name for name in table.column_names}
    time_name = next((names[name] for name in _TIMES if name in names), None)
    missing = [name for name in _PRICES if name not in names]
    if time_name is None or missing:
        lacking = missing if time_name is not None else ["open_time", *missing]
        raise UsageError(f"{path} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}.")
    try:
        columns: dict[str, Any] = {"open_time": _times(table[time_name])}
        columns |= {name: _floats(table[names[name]]) for name in _PRICES}
        for name, spellings in _OTHER_NAMES.items():
            found = next((names[spelling] for spelling in spellings if spelling in names), None)
            columns[name] = _floats(table[found]) if found else np.full(table.num_rows, np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as minutes: {str(error).splitlines()[0]}.") from error
    on_grid = columns["open_time"] % MINUTE_MS == 0
    return {name: values[on_grid] for name, values in columns.items()}


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return parquet.read_table(path)
        return csv.read_csv(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from error


def _times(column: pa.ChunkedArray) -> Integers:
    """Open times as ms, from ms, µs, ns, timestamps or their text."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(column)
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64()).to_numpy())
    numbers = np.asarray(column.cast(pa.int64()).to_numpy())
    if len(numbers) == 0:
        return numbers
    largest = numbers.max()
    if largest < _SMALLEST_MS:
        raise ValueError("open_time looks like seconds, where milliseconds are wanted")
    divisor = 1 if largest < _SMALLEST_MS * 1e3 else 1_000 if largest < _SMALLEST_MS * 1e6 else 1_000_000
    return np.asarray(numbers // divisor)


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(column)
    if pc.all(pc.match_substring_regex(text, r"^\d+$")).as_py():
        return text.cast(pa.int64())
    plain = pc.replace_substring_regex(text, r"(Z|\+00:?00)$", "")
    return pc.replace_substring(plain, " ", "T").cast(pa.timestamp("ms"))


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
