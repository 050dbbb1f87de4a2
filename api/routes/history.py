"""`/price/history`: bars and their features, in pages or as one streamed table."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import age_of_range, cached_response, until_next_minute
from api.catalog import Catalog
from api.documentation import FEATURES, NO_DATABASE, NO_SYMBOL, cached, problems
from api.formats import CSV_MEDIA_TYPE, csv_disposition, csv_page, encode_in_turn, json_page
from api.history import HistoryPage, select_history_page
from api.parameters import HistoryParameters
from api.problems import invalid_parameter
from api.schemas import History
from api.state import SharedState, State
from api.streaming import StreamedResponse
from api.walk import Walk, begin_walk
from shared.database.driver import Connection
from shared.features import parse_names

router = APIRouter(tags=["Prices"])

DESCRIPTION = f"""
Finished bars that open in [start, end), each with its features; without a start, the newest.

Follow `next_cursor` (in CSV the header `Next-Cursor`) with the same parameters to get every bar exactly once.
`gaps` names the minutes missing from what the page covers. CSV without a limit is the whole range, streamed:
a stream that breaks off ends without its last chunk, so that it does not look complete.
{FEATURES}"""

DEFAULT_ROWS = 100
# What one read of a streamed table holds; memory is bounded by it, and no connection is held between two.
CHUNK_ROWS = 4_000


@router.get(
    "/price/history",
    response_model=History,
    summary="Bars and their features",
    description=DESCRIPTION,
    responses=cached("A page of bars", CSV_MEDIA_TYPE) | problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_history(request: Request, query: HistoryParameters, state: SharedState) -> Response:
    """Answer as DESCRIPTION says."""
    try:
        names = parse_names(query.features)
    except ValueError as error:
        raise invalid_parameter("features", str(error)) from error
    limit = CHUNK_ROWS if query.is_table else query.limit or DEFAULT_ROWS

    async def read(connection: Connection) -> tuple[Catalog, HistoryPage]:
        catalog = await state.catalogs.catalog(connection)
        walk = begin_walk(query, catalog)
        if query.is_table and walk.start is None:
            walk = replace(walk, start=walk.lower)
        until = catalog.record_until(walk.symbol)
        return catalog, await select_history_page(connection, walk, limit, names, until)

    catalog, page = await state.database.read(read)
    headers = csv_disposition(page.walk) if query.format == "csv" else {}
    if query.is_table and page.bars.has_more:
        return StreamedResponse(_table(state, page, names), CSV_MEDIA_TYPE, headers)
    now = catalog.now()
    max_age = age_of_range(page.walk.end, now) if page.is_whole else until_next_minute(now)
    if query.format == "csv":
        body = await encode_in_turn(state.turn, len(page.bars), lambda: csv_page(page, names))
        cursor = page.next_cursor()
        headers |= {"next-cursor": cursor} if cursor else {}
        return cached_response(request, body, max_age, media_type=CSV_MEDIA_TYPE, headers=headers)
    body = await encode_in_turn(state.turn, len(page.bars), lambda: json_page(page, names, query.layout))
    return cached_response(request, body, max_age)


async def _table(state: State, page: HistoryPage, names: Sequence[str]) -> AsyncIterator[bytes]:
    """Every line of a table, a chunk at a time."""
    yield await encode_in_turn(state.turn, len(page.bars), partial(csv_page, page, names))
    while (rest := page.walk.after(page.bars)) is not None:
        page = await state.database.read(_chunk_reader(rest, names))
        encode = partial(csv_page, page, names, with_header=False)
        yield await encode_in_turn(state.turn, len(page.bars), encode)


def _chunk_reader(walk: Walk, names: Sequence[str]) -> Callable[[Connection], Awaitable[HistoryPage]]:
    return lambda connection: select_history_page(connection, walk, CHUNK_ROWS, names, None)
