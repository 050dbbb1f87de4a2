"""Answers with rows: a page as JSON or CSV, or the whole range as one streamed table of CSV."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import Response

from api.caching import compute_max_age, compute_time_to_next_minute, make_cached_response
from api.catalog import Catalog
from api.paging import PagedRange
from api.parameters import RowsQuery
from api.state import State
from api.streaming import StreamedResponse
from shared.database.connection import Connection

CSV_MEDIA_TYPE: Final = "text/csv; charset=utf-8"
_DEFAULT_ROWS: Final = 100
# What one read of a streamed table holds; memory is bounded by it, and no connection is held between two.
CHUNK_ROWS = 4_000
# Encoding more rows than this takes longer than others should wait for the event loop.
_ROWS_ON_THE_LOOP: Final = 2_000


@dataclass(frozen=True)
class Page(ABC):
    """Rows that were read of a range, and what is left of it behind them: None at the end."""

    paged: PagedRange
    rest: PagedRange | None

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @property
    @abstractmethod
    def is_settled(self) -> bool:
        """Whether no row can come to it any more, and none of it is still to change."""

    @property
    @abstractmethod
    def file_name(self) -> str:
        """What a file with the rows is called, without an ending."""

    @abstractmethod
    def json(self) -> bytes:
        """Return the answer's JSON."""

    @abstractmethod
    def csv(self, *, with_header: bool = True) -> bytes:
        """Return the answer's CSV, below the columns' names or without them."""

    @abstractmethod
    async def select_next(self, connection: Connection, limit: int) -> "Page":
        """Read the page behind this one, of at most `limit` rows."""


async def answer_with_rows(
    request: Request,
    state: State,
    query: RowsQuery,
    select_first: Callable[[Connection, Catalog, int], Awaitable[Page]],
) -> Response:
    """Answer with the page that `select_first` reads, or with the table that begins with it."""
    limit = CHUNK_ROWS if query.is_table else query.limit or _DEFAULT_ROWS

    async def read(connection: Connection) -> tuple[Catalog, Page]:
        catalog = await state.catalogs.catalog(connection)
        return catalog, await select_first(connection, catalog, limit)

    catalog, page = await state.database.read(read)
    is_csv = query.format == "csv"
    headers = {}
    if is_csv:
        # A symbol of another source has signs that a file's name may not have.
        file_name = page.file_name.replace(":", "-").replace("/", "-")
        headers["content-disposition"] = f'attachment; filename="{file_name}.csv"'
    if query.is_table and page.rest is not None:
        return StreamedResponse(_stream_table(state, page), CSV_MEDIA_TYPE, headers)
    body = await _encode(state, page, page.csv if is_csv else page.json)
    if is_csv and page.rest is not None:
        headers["next-cursor"] = page.rest.cursor()
    now = catalog.now(page.paged.symbol)
    max_age = compute_max_age(page.paged.end, now) if page.is_settled else compute_time_to_next_minute(now)
    media_type = CSV_MEDIA_TYPE if is_csv else "application/json"
    return make_cached_response(request, body, max_age, media_type=media_type, headers=headers)


async def _stream_table(state: State, page: Page) -> AsyncIterator[bytes]:
    """Yield every line of a table, a chunk at a time."""
    yield await _encode(state, page, page.csv)
    while page.rest is not None:
        page = await state.database.read(partial(page.select_next, limit=CHUNK_ROWS))
        yield await _encode(state, page, partial(page.csv, with_header=False))


async def _encode(state: State, page: Page, encode: Callable[[], bytes]) -> bytes:
    """Encode the page here, or where that would keep the event loop from others, on a thread.

    Long ones take turns: together they would be no faster, and take the memory of all at once.
    """
    if len(page) <= _ROWS_ON_THE_LOOP:
        return encode()
    async with state.long_work:
        return await asyncio.to_thread(encode)
