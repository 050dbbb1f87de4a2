"""`/price/gaps`: what is missing and why, and how complete each day is."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import compute_max_age, compute_time_to_next_minute, make_cached_response
from api.catalog import Catalog
from api.documentation import NO_DATABASE, NO_SYMBOL, describe_cached_answer, describe_problems
from api.gaps.fields import GAPS
from api.gaps.page import GapsPage, select_gaps_page
from api.gaps.parameters import GapsParameters
from api.gaps.view import encode_gaps
from api.state import SharedState
from shared.database.connection import Connection

router = APIRouter(tags=["Prices"])


@router.get(
    "/price/gaps",
    summary="What is missing, and why",
    responses=describe_cached_answer(GAPS, "The gaps") | describe_problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_gaps(request: Request, query: GapsParameters, state: SharedState) -> Response:
    """The runs of minutes in [start, end) that are not there, each with its cause, and every day's completeness.

    The whole record if neither start nor end is given. Pages are whole days; a gap across two pages is on both, cut
    at midnight. The counts are those of the page, which `start` and `end` name.
    """

    async def read(connection: Connection) -> tuple[Catalog, GapsPage]:
        catalog = await state.catalogs.catalog(connection)
        return catalog, await select_gaps_page(connection, catalog, query)

    catalog, page = await state.database.read(read)
    now = catalog.now(page.paged.symbol)
    max_age = compute_max_age(page.covered.end, now) if page.is_settled else compute_time_to_next_minute(now)
    return make_cached_response(request, encode_gaps(page), max_age)
