"""Pages of history as bytes: JSON in rows or columns, and CSV."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from api.encoding import columns_json, csv_rows, iterate_columns, rows_json
from api.history import HistoryPage
from api.parameters import Layout
from api.walk import Walk
from shared.instant import to_text

CSV_MEDIA_TYPE: Final = "text/csv; charset=utf-8"
# Encoding more rows than this takes longer than others should wait for the event loop.
_ROWS_ON_THE_LOOP: Final = 2_000


def json_page(page: HistoryPage, names: Sequence[str], layout: Layout) -> bytes:
    """Return the page's JSON."""
    walk = page.walk
    pieces = iterate_columns(page.bars, page.features(names), newest_first=walk.newest_first)
    head = {
        "symbol": walk.symbol,
        "start": to_text(page.start),
        "end": to_text(walk.end),
        "interval": walk.interval.name,
        "count": len(page.bars),
    }
    data = rows_json(pieces) if layout == "rows" else columns_json(pieces)
    tail = {
        "next_cursor": page.next_cursor(),
        "gaps": [{"start": to_text(gap.start), "end": to_text(gap.end), "cause": gap.cause} for gap in page.gaps],
    }
    return b"".join((orjson.dumps(head)[:-1], b',"data":', data, b",", orjson.dumps(tail)[1:]))


def csv_page(page: HistoryPage, names: Sequence[str], *, with_header: bool = True) -> bytes:
    """Return the page's lines, below the names of the columns."""
    pieces = iterate_columns(page.bars, page.features(names), newest_first=page.walk.newest_first)
    return csv_rows(pieces, with_header=with_header)


def csv_disposition(walk: Walk) -> dict[str, str]:
    """Return the header that names the file."""
    return {"content-disposition": f'attachment; filename="{walk.symbol}-{walk.interval.name}.csv"'}


async def encode_in_turn(turn: asyncio.Semaphore, rows: int, encode: Callable[[], bytes]) -> bytes:
    """Encode so many rows here, or where that would keep the event loop from others, on a thread.

    Long ones take turns: together they would be no faster, and take the memory of all at once.
    """
    if rows <= _ROWS_ON_THE_LOOP:
        return encode()
    async with turn:
        return await asyncio.to_thread(encode)
