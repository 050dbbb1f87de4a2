"""`/price/gaps`: what is missing and why, and how complete each day is."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import age_of_range, cached_response, until_next_minute
from api.catalog import Catalog
from api.completeness import Completeness, days_of
from api.cursor import Cursor, deciding_parameters, decode_cursor
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.intervals import ONE_DAY, ONE_MINUTE
from api.parameters import GapsParameters, GapsQuery, is_fixed_range, read_range
from api.schemas import Gaps
from api.state import SharedState
from shared.database.driver import Connection
from shared.gaps import Gap, are_absent, join_neighbours, select_gaps
from shared.instant import DAY, to_text
from shared.runs import Run

router = APIRouter(tags=["Prices"])

_ROUTE = "gaps"
# A page ends at the first day's end behind so many gaps, and is read in steps of so many days.
MAX_GAPS = 10_000
_STEP = 366 * DAY
_DECIDING = ("symbol", "start", "end")


class _Walk(NamedTuple):
    asked: dict[str, str]
    symbol: str
    start: datetime
    end: datetime
    position: datetime
    is_fixed: bool


@router.get(
    "/price/gaps",
    response_model=Gaps,
    summary="What is missing, and why",
    responses=cached("The gaps") | problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_gaps(request: Request, query: GapsParameters, state: SharedState) -> Response:
    """The runs of minutes in [start, end) that are not there, each with its cause, and every day's completeness.

    The whole record if neither start nor end is given. Pages are whole days; a gap across two pages is on both, cut
    at midnight. The counts are those of the page, which `start` and `end` name.
    """

    async def read(connection: Connection) -> tuple[Catalog, _Walk, Run, list[Gap]]:
        catalog = await state.catalogs.catalog(connection)
        walk = _begin(query, catalog)
        span, gaps = await _select_page(connection, walk, catalog.record_until(walk.symbol), query.limit)
        return catalog, walk, span, gaps

    catalog, walk, span, gaps = await state.database.read(read)
    now = catalog.now()
    body = _encode(walk, span, gaps, catalog.record_until(walk.symbol))
    is_whole = walk.is_fixed and are_absent(gaps)
    return cached_response(request, body, age_of_range(span.end, now) if is_whole else until_next_minute(now))


def _begin(query: GapsQuery, catalog: Catalog) -> _Walk:
    given = deciding_parameters(query, _DECIDING)
    if query.cursor:
        cursor = decode_cursor(query.cursor, _ROUTE, given)
        position = min(max(cursor.start, cursor.position), cursor.end)
        return _Walk(
            dict(cursor.asked), catalog.resolve(cursor.symbol), cursor.start, cursor.end, position, is_fixed=True
        )
    symbol = catalog.resolve(query.symbol)
    start, end = read_range(query.start, query.end, catalog.closed_until())
    if query.end is None:
        end = min(end, catalog.record_until(symbol))
    begin = ONE_MINUTE.ceil(min(catalog.begins[symbol], end) if start is None else start)
    end = max(begin, ONE_MINUTE.ceil(end))
    fixed = is_fixed_range(query.start, query.end)
    return _Walk({**given, "symbol": symbol}, symbol, begin, end, begin, fixed)


async def _select_page(connection: Connection, walk: _Walk, until: datetime, limit: int) -> tuple[Run, list[Gap]]:
    """Return what the page covers, and its gaps; minutes from `until` on are not missing."""
    day = ONE_DAY.floor(walk.position)
    last = min(walk.end, day + limit * DAY)
    gaps: list[Gap] = []
    position = walk.position
    while position < min(last, until) and len(gaps) < MAX_GAPS:
        step_end = min(last, until, position + _STEP)
        gaps = join_neighbours([*gaps, *await select_gaps(connection, walk.symbol, position, step_end)])
        position = step_end
    if len(gaps) >= MAX_GAPS:
        last = min(last, ONE_DAY.ceil(gaps[MAX_GAPS - 1].end))
        gaps = [gap._replace(end=min(gap.end, last)) for gap in gaps if gap.start < last]
    return Run(walk.position, last), gaps


def _encode(walk: _Walk, span: Run, gaps: Sequence[Gap], until: datetime) -> bytes:
    days = days_of(span, gaps, until)
    total = Completeness.of(days)
    rest = Cursor(_ROUTE, walk.asked, walk.symbol, walk.start, walk.end, span.end) if span.end < walk.end else None
    return orjson.dumps(
        {
            "symbol": walk.symbol,
            "start": to_text(span.start),
            "end": to_text(span.end),
            "expected": total.expected,
            "count": total.count,
            "missing": total.expected - total.count,
            "completeness": total.share,
            "gaps": [
                {"start": to_text(gap.start), "end": to_text(gap.end), "minutes": gap.minutes, "cause": gap.cause}
                for gap in gaps
            ],
            "days": [
                {"day": to_text(day), "count": found.count, "expected": found.expected, "completeness": found.share}
                for day, found in days.items()
            ],
            "next_cursor": rest.encode() if rest else None,
        }
    )
