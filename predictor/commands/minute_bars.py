"""Files of minutes as bars: whatever order they come in, each minute once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.bars import Bars
from shared.errors import UsageError
from shared.instant import MINUTE_MS
from shared.minute_files import find_newest_rows, read_minute_file, refusing_unreadable, to_floats
from shared.rolling import Floats

_PRICES = ("open", "high", "low", "close")
_AMOUNTS = ("volume", "quote_volume", "trades", "taker_base")


def read_bars(paths: Sequence[Path]) -> Bars:
    """Read one symbol's minutes from files; of a repeated minute the last one read counts, as a correction does.

    A row without a whole, positive and ordered price is left out. An amount that no file tells is NaN, as it is where
    the record lacks it. Raises UsageError that names the file.
    """
    pieces = [_read(path) for path in paths]
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    open_time = columns.pop("open_time").astype(np.int64)
    rows = find_newest_rows(open_time)
    rows = rows[_has_sound_prices(columns, rows)]
    if not len(rows):
        raise UsageError(f"{paths[0]} has no minute with sound prices.")
    kept = {name: values[rows] for name, values in columns.items()}
    return Bars(
        open_time=open_time[rows],
        interval_ms=MINUTE_MS,
        open=kept["open"],
        high=kept["high"],
        low=kept["low"],
        close=kept["close"],
        volume=kept["volume"],
        quote_volume=kept["quote_volume"],
        trades=kept["trades"],
        taker_base_volume=kept["taker_base"],
    )


def guess_symbol(paths: Sequence[Path]) -> str:
    """Return the symbol that the first file's name begins with, as the exchange's files do; else the whole name."""
    stem = paths[0].name.partition(".")[0]
    return stem.partition("-")[0].upper() or "UNKNOWN"


def _read(path: Path) -> dict[str, Floats]:
    table = read_minute_file(path, required=("open_time", *_PRICES))
    with refusing_unreadable(path):
        columns = {name: to_floats(table.column(name)) for name in _PRICES}
        for name in _AMOUNTS:
            has_it = name in table.column_names
            columns[name] = to_floats(table.column(name)) if has_it else np.full(table.num_rows, np.nan)
        open_time = table.column("open_time").to_numpy()
    on_grid = open_time % MINUTE_MS == 0
    return {name: values[on_grid] for name, values in ({"open_time": open_time} | columns).items()}


def _has_sound_prices(columns: dict[str, Floats], rows: np.ndarray) -> np.ndarray:
    opened, high, low, close = (columns[name][rows] for name in _PRICES)
    return np.asarray(
        (low > 0) & (low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close)) & np.isfinite(high)
    )
