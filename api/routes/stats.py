"""`/price/stats`: a range of minutes summed up."""

import asyncio
from datetime import datetime
from decimal import Decimal

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import age_of_range, cached_response, until_next_minute
from api.catalog import Catalog
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.intervals import ONE_MINUTE
from api.parameters import StatsParameters, StatsQuery, is_fixed_range, read_range, read_window
from api.problems import invalid_parameter
from api.schemas import Stats
from api.state import SharedState
from api.statistics import PERCENTILES, Summary, summarise
from api.statistics_queries import Closes, Totals, select_statistics
from shared.database.driver import Connection
from shared.gaps import are_absent, select_gaps
from shared.instant import DAY, MINUTE, to_text
from shared.runs import Run

router = APIRouter(tags=["Prices"])

# Half a year of closes takes some 20 ms: longer than others should wait for the event loop.
_CLOSES_ON_THE_LOOP = 250_000


@router.get(
    "/price/stats",
    response_model=Stats,
    summary="A range summed up",
    responses=cached("The statistics") | problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_stats(request: Request, query: StatsParameters, state: SharedState) -> Response:
    """Statistics of the minutes that open in [start, end).

    Prices are closes, but `min` and `max` are of lows and highs. `window` counts back from the newest closed minute.
    Nothing is made up for minutes that are missing.
    """
    catalog = await state.database.read(state.catalogs.catalog)
    symbol = catalog.resolve(query.symbol)
    start, end = _range(query, catalog)
    first, last = ONE_MINUTE.ceil(start), ONE_MINUTE.ceil(end)
    past = Run(first, max(first, min(last, catalog.record_until(symbol))))
    is_fixed = is_fixed_range(query.start, query.end)

    async def read(connection: Connection) -> tuple[Totals, Closes, bool]:
        totals, closes = await select_statistics(connection, symbol, first, last)
        is_whole = totals.minutes >= past.minutes
        if is_fixed and not is_whole:
            is_whole = are_absent(await select_gaps(connection, symbol, *past))
        return totals, closes, is_fixed and is_whole

    if (past.end - max(first, catalog.begins[symbol])) // MINUTE <= _CLOSES_ON_THE_LOOP:
        totals, closes, is_whole = await state.database.read(read)
        summary = summarise(closes)
    else:
        # Years of closes are tens of megabytes; who asks for them takes turns.
        async with state.turn:
            totals, closes, is_whole = await state.database.read(read)
            summary = await asyncio.to_thread(summarise, closes)
    # A stored minute is past, even where this process has not yet noticed the minute's turn.
    expected = max(past.minutes, summary.count)
    head = {"symbol": symbol, "start": to_text(start), "end": to_text(end)}
    body = _encode(head, expected, totals, summary)
    now = catalog.now()
    return cached_response(request, body, age_of_range(end, now) if is_whole else until_next_minute(now))


def _range(query: StatsQuery, catalog: Catalog) -> tuple[datetime, datetime]:
    until = catalog.closed_until()
    if query.window is not None:
        if query.start is not None or query.end is not None:
            raise invalid_parameter("window", "it stands for start and end; give either it or those")
        return read_window(query.window, until)
    start, end = read_range(query.start, query.end, until)
    return (end - DAY if start is None else start), end


def _encode(head: dict[str, str], expected: int, totals: Totals, summary: Summary) -> bytes:
    return orjson.dumps(
        {
            **head,
            "count": summary.count,
            "expected": expected,
            "completeness": summary.count / expected if expected else None,
            "first": _number(totals.first),
            "last": _number(totals.last),
            "min": _number(totals.low),
            "min_at": _instant(totals.low_at),
            "max": _number(totals.high),
            "max_at": _instant(totals.high_at),
            "mean": summary.mean,
            "median": _decimal(summary.median),
            "std": summary.std,
            "percentiles": {
                str(percent): _decimal(value) for percent, value in zip(PERCENTILES, summary.percentiles, strict=True)
            },
            "change": _number(totals.change),
            "change_percent": _number(totals.change_percent),
            "vwap": _number(totals.vwap),
            "volume": _number(totals.volume),
            "quote_volume": _number(totals.quote_volume),
            "trades": totals.trades,
            "realised_volatility": summary.realised_volatility,
            "max_drawdown": summary.max_drawdown,
        }
    )


def _number(text: str | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)


def _decimal(value: Decimal | None) -> orjson.Fragment | None:
    # `normalize` drops trailing zeros, and "f" keeps its exponent out.
    return None if value is None else orjson.Fragment(format(value.normalize(), "f"))


def _instant(text: str | None) -> str | None:
    return None if text is None else to_text(datetime.fromisoformat(text))
