"""`/price/stats`: a range of minutes summed up."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import compute_max_age, compute_time_to_next_minute, make_cached_response
from api.documentation import NO_DATABASE, NO_SYMBOL, describe_cached_answer, describe_problems
from api.intervals import ONE_MINUTE
from api.parameters import is_fixed_range
from api.state import SharedState
from api.statistics.fields import STATISTICS
from api.statistics.parameters import StatsParameters
from api.statistics.queries import Closes, select_statistics
from api.statistics.summary import summarise
from api.statistics.view import encode_statistics
from shared.database.connection import Connection, Record
from shared.gaps import are_absent, select_gaps
from shared.instant import MINUTE, to_text
from shared.runs import Run

router = APIRouter(tags=["Prices"])

# Half a year of closes takes some 20 ms: longer than others should wait for the event loop.
_CLOSES_ON_THE_LOOP = 250_000


@router.get(
    "/price/stats",
    summary="A range summed up",
    responses=describe_cached_answer(STATISTICS, "The statistics") | describe_problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_stats(request: Request, query: StatsParameters, state: SharedState) -> Response:
    """Statistics of the minutes that open in [start, end).

    Prices are closes, but `min` and `max` are of lows and highs. `window` counts back from the newest closed minute.
    Nothing is made up for minutes that are missing.
    """
    catalog = await state.catalogs.read(state.database)
    symbol = catalog.resolve(query.symbol)
    closed_until = catalog.closed_until(symbol)
    start, end = query.range(closed_until)
    first, last = ONE_MINUTE.ceil(start), ONE_MINUTE.ceil(end)
    past = Run(first, max(first, min(last, catalog.record_until(symbol, closed_until))))
    is_fixed = is_fixed_range(query.start, query.end)

    async def read(connection: Connection) -> tuple[Record, Closes, bool]:
        totals, closes = await select_statistics(connection, symbol, first, last)
        is_whole = totals["minutes"] >= past.minutes
        if is_fixed and not is_whole:
            is_whole = are_absent(await select_gaps(connection, symbol, *past))
        return totals, closes, is_fixed and is_whole

    if (past.end - max(first, catalog.begins[symbol])) // MINUTE <= _CLOSES_ON_THE_LOOP:
        totals, closes, is_whole = await state.database.read(read)
        summary = summarise(closes)
    else:
        # Years of closes are tens of megabytes; who asks for them takes turns.
        async with state.long_work:
            totals, closes, is_whole = await state.database.read(read)
            summary = await asyncio.to_thread(summarise, closes)
    # A stored minute is past, even where this process has not yet noticed the minute's turn.
    expected = max(past.minutes, summary.count)
    head = {"symbol": symbol, "start": to_text(start), "end": to_text(end)}
    now = catalog.now(symbol)
    max_age = compute_max_age(end, now) if is_whole else compute_time_to_next_minute(now)
    return make_cached_response(request, encode_statistics(head, expected, totals, summary), max_age)
