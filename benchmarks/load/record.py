"""Fills the tables with generated minutes."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pyarrow as pa
import pyarrow.csv

from benchmarks.common import SYMBOL
from collector.copy_text import COPY_COLUMNS
from shared.instant import DAY, to_milliseconds
from simulator.generator import Generator
from simulator.kline import DAY_MS


async def fill_record(owner_url: str, start: datetime, days: int) -> None:
    """Store `days` days from the midnight `start`, with their rollups, and set the exchange's clock to their end."""
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.copy_to_table(
            "ticks", source=_pieces(to_milliseconds(start) // DAY_MS, days), columns=COPY_COLUMNS, format="csv"
        )
        end = start + days * DAY
        await connection.execute("SELECT refresh_rollups($1, $2, $3)", SYMBOL, start, end)
        await connection.execute("INSERT INTO collected_symbols VALUES ($1, 0, $2)", SYMBOL, start)
        await connection.execute("INSERT INTO exchange_clocks VALUES ('binance', $1, clock_timestamp())", end)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _pieces(first_day: int, days: int) -> AsyncIterator[bytes]:
    generator = Generator((SYMBOL,))
    without_header = pyarrow.csv.WriteOptions(include_header=False)
    for number in range(first_day, first_day + days):
        columns = generator.day(SYMBOL, number).columns
        count = columns.num_rows
        opened_at = columns.column("open_time").cast(pa.timestamp("ms", "UTC"))
        values = [columns.column(name) for name in columns.schema.names if name not in {"open_time", "close_time"}]
        labels = [pa.array([text] * count) for text in (SYMBOL, "simulated")]
        sink = pa.BufferOutputStream()
        table = pa.table([opened_at, *values, *labels], names=COPY_COLUMNS)
        pyarrow.csv.write_csv(table, sink, without_header)
        yield sink.getvalue().to_pybytes()
