"""Klines, the exchange's minute candles: a single one (`Kline`), and a UTC day of them by column (`Day`).

Times are milliseconds since 1970 UTC. Prices and volumes are decimal text, kept unchanged.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MINUTES_A_DAY = 1440
UNITS = 100_000_000  # the exchange's decimals have eight places

DECIMALS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_base", "taker_quote")
SCHEMA = pa.schema(
    [
        ("open_time", pa.int64()),
        ("open", pa.string()),
        ("high", pa.string()),
        ("low", pa.string()),
        ("close", pa.string()),
        ("volume", pa.string()),
        ("close_time", pa.int64()),
        ("quote_volume", pa.string()),
        ("trades", pa.int64()),
        ("taker_base", pa.string()),
        ("taker_quote", pa.string()),
    ]
)

EMPTY = pa.RecordBatch.from_pylist([], SCHEMA)

Integers = npt.NDArray[np.int64]


class Kline(NamedTuple):
    """One candle, its fields in the order of the exchange's row."""

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: int
    quote_volume: str
    trades: int
    taker_base: str
    taker_quote: str

    def to_json(self) -> str:
        """Return the row as `/api/v3/klines` writes it, with the unused twelfth field."""
        prices = f'"{self.open}","{self.high}","{self.low}","{self.close}","{self.volume}"'
        sums = f'"{self.quote_volume}",{self.trades},"{self.taker_base}","{self.taker_quote}"'
        return f'[{self.open_time},{prices},{self.close_time},{sums},"0"]'


class Day:
    """The klines of one UTC day in order of time; it is immutable, and its rows are encoded at most once.

    `columns` is a pyarrow RecordBatch of `SCHEMA`.
    """

    def __init__(self, columns: Any) -> None:
        self.columns = columns
        self.open_times: Integers = columns.column("open_time").to_numpy()

    def __len__(self) -> int:
        """Return how many minutes the day has."""
        return len(self.open_times)

    @cached_property
    def rows(self) -> list[str]:
        """All rows as JSON text, as `Kline.to_json` writes them."""
        text = [pa.scalar("["), self.columns.column("open_time").cast(pa.string())]
        for name in SCHEMA.names[1:]:
            column = self.columns.column(name)
            if name in DECIMALS:
                text += [pa.scalar(',"'), column, pa.scalar('"')]
            else:
                text += [pa.scalar(","), column.cast(pa.string())]
        return _join_columns(text, pa.scalar(',"0"]'))

    @cached_property
    def units(self) -> dict[str, Integers]:
        """All columns as integers, decimals in hundred-millionths; for sums."""
        return {
            name: self.columns.column(name).to_numpy() if name not in DECIMALS else to_units(self.columns.column(name))
            for name in SCHEMA.names
        }

    def kline(self, index: int) -> Kline:
        """Return the kline at a position in the day."""
        return Kline(*(self.columns.column(name)[index].as_py() for name in SCHEMA.names))

    def csv(self, indices: Integers, *, microseconds: bool) -> str:
        """Return the rows at `indices` as lines of an archive, each with a newline at its end."""
        columns = self.columns.take(pa.array(indices, pa.int64()))
        text: list[Any] = []
        for name in SCHEMA.names:
            column = columns.column(name)
            if microseconds and name.endswith("_time"):
                # A close time is the last microsecond of the minute, as it is the last millisecond in older files.
                column = pc.add(pc.multiply(column, 1000), 999 if name == "close_time" else 0)
            text += [column.cast(pa.string()), pa.scalar(",")]
        return "".join(_join_columns(text, pa.scalar("0\n")))


def to_units(column: Any) -> Integers:
    """Convert an array of decimal text to hundred-millionths, exact up to 9.2e10; raises ArrowInvalid."""
    exact = column.cast(pa.decimal128(38, 8))
    # A decimal128 is two 64-bit words, the low one first; for numbers this small the high one has only the sign.
    words = np.frombuffer(exact.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return words[exact.offset : exact.offset + len(exact), 0].copy()


def to_text(units: Integers) -> Any:
    """Convert hundred-millionths, not negative, to an array of decimal text with eight places."""
    digits = pc.ascii_lpad(pa.array(units, pa.int64()).cast(pa.string()), 9, "0")
    return pc.binary_replace_slice(digits.cast(pa.binary()), -8, -8, b".").cast(pa.string())


def format_units(units: int) -> str:
    """Return a number of hundred-millionths as decimal text with eight places."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // UNITS}.{units % UNITS:08d}"


def _join_columns(text: list[Any], end: Any) -> list[str]:
    rows: list[str] = pc.binary_join_element_wise(*text, end, "").to_pylist()
    return rows
