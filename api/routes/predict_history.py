"""`/price/predict/history`: past forecasts and what became of them, in pages or as one streamed table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import age_of_range, cached_response, until_next_minute
from api.catalog import Catalog
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.forecast_formats import forecasts_csv, forecasts_json
from api.forecast_history import ForecastPage, select_forecast_page
from api.forecast_schemas import ForecastHistory
from api.forecast_walk import ForecastWalk, begin_forecast_walk
from api.formats import CSV_MEDIA_TYPE, encode_in_turn
from api.horizons import NO_HORIZON, check_horizon
from api.outlook import Outlook, select_outlooks
from api.parameters import ForecastHistoryParameters
from api.routes.history import CHUNK_ROWS, DEFAULT_ROWS
from api.state import SharedState, State
from api.streaming import StreamedResponse
from shared.database.driver import Connection

router = APIRouter(tags=["Forecasts"])


@router.get(
    "/price/predict/history",
    response_model=ForecastHistory,
    summary="Past forecasts, and what became of them",
    responses=cached("A page of forecasts", CSV_MEDIA_TYPE)
    | problems(400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON}),
)
async def read_predict_history(request: Request, query: ForecastHistoryParameters, state: SharedState) -> Response:
    """Forecasts made in [start, end), as they were written, each with its outcome; without a start, the newest.

    Follow `next_cursor` (in CSV the header `Next-Cursor`) with the same parameters to get every forecast exactly once.
    CSV without a limit is the whole range, streamed: one that breaks off ends without its last chunk.
    """
    limit = CHUNK_ROWS if query.is_table else query.limit or DEFAULT_ROWS

    async def read(connection: Connection) -> tuple[Catalog, ForecastPage]:
        catalog = await state.catalogs.catalog(connection)
        walk = begin_forecast_walk(query, catalog)
        if walk.horizon is not None:
            outlooks = await select_outlooks(connection)
            check_horizon(walk.horizon, outlooks.get(walk.symbol, Outlook(walk.symbol)))
        return catalog, await select_forecast_page(connection, walk, limit)

    catalog, page = await state.database.read(read)
    headers = {}
    if query.format == "csv":
        headers["content-disposition"] = f'attachment; filename="{page.walk.symbol}-forecasts.csv"'
    if query.is_table and page.rest is not None:
        return StreamedResponse(_table(state, page), CSV_MEDIA_TYPE, headers)
    now = catalog.now()
    max_age = age_of_range(page.walk.end, now) if page.is_settled else until_next_minute(now)
    if query.format == "csv":
        headers |= {"next-cursor": page.rest.cursor()} if page.rest else {}
        body = await encode_in_turn(state.turn, len(page), partial(forecasts_csv, page))
        return cached_response(request, body, max_age, media_type=CSV_MEDIA_TYPE, headers=headers)
    body = await encode_in_turn(state.turn, len(page), partial(forecasts_json, page))
    return cached_response(request, body, max_age)


async def _table(state: State, page: ForecastPage) -> AsyncIterator[bytes]:
    """Every line of a table, a chunk at a time."""
    yield await encode_in_turn(state.turn, len(page), partial(forecasts_csv, page))
    while page.rest is not None:
        page = await state.database.read(_chunk_reader(page.rest))
        yield await encode_in_turn(state.turn, len(page), partial(forecasts_csv, page, with_header=False))


def _chunk_reader(walk: ForecastWalk) -> Callable[[Connection], Awaitable[ForecastPage]]:
    return lambda connection: select_forecast_page(connection, walk, CHUNK_ROWS)
