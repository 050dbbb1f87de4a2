"""Pages of history as bytes: JSON in rows or columns, and CSV."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, Final, ParamSpec

import orjson

from api.encoding import columns_json, csv_header, csv_rows, make_columns, rows_json
from api.history import HistoryPage
from api.parameters import Layout
from api.walk import Walk
from shared.instant import to_text

CSV_MEDIA_TYPE: Final = "text/csv; charset=utf-8"
# Encoding more rows than this takes longer than others should wait for the event loop.
_ROWS_ON_THE_LOOP: Final = 2_000

Rest = ParamSpec("Rest")


def json_page(page: HistoryPage, names: Sequence[str], layout: Layout) -> bytes:
    """Return the page's JSON."""
    walk = page.walk
    columns = make_columns(page.bars, page.features(names), newest_first=walk.newest_first)
    head = {
        "symbol": walk.symbol,
        "start": to_text(page.start),
        "end": to_text(walk.end),
        "interval": walk.interval.name,
        "count": len(page.bars),
    }
    data = rows_json(columns) if layout == "rows" else columns_json(columns)
    tail = {
        "next_cursor": page.next_cursor(),
        "gaps": [{"start": to_text(gap.start), "end": to_text(gap.end), "cause": gap.cause} for gap in page.gaps],
    }
    return b"".join((orjson.dumps(head)[:-1], b',"data":', data.encode(), b",", orjson.dumps(tail)[1:]))


def csv_page(page: HistoryPage, names: Sequence[str], *, with_header: bool = True) -> bytes:
    """Return the page's lines, below the names of the columns."""
    columns = make_columns(page.bars, page.features(names), newest_first=page.walk.newest_first)
    return ((csv_header(columns) if with_header else "") + csv_rows(columns)).encode()


def csv_disposition(walk: Walk) -> dict[str, str]:
    """Return the header that names the file."""
    return {"content-disposition": f'attachment; filename="{walk.symbol}-{walk.interval.name}.csv"'}


async def on_a_thread_if_long(
    encode: Callable[Concatenate[HistoryPage, Rest], bytes], page: HistoryPage, *args: Rest.args, **kwargs: Rest.kwargs
) -> bytes:
    """Encode a page here, or where it would keep the event loop from others, on a thread."""
    if len(page.bars) <= _ROWS_ON_THE_LOOP:
        return encode(page, *args, **kwargs)
    return await asyncio.to_thread(encode, page, *args, **kwargs)
