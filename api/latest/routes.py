"""`/price/latest`: the newest closed minute."""

from datetime import timedelta

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import compute_time_to_next_minute, make_cached_response
from api.catalog import Catalog
from api.documentation import NO_DATABASE, NO_SYMBOL, describe_cached_answer, describe_problems
from api.fields import read_row
from api.freshness import age_seconds, is_stale
from api.latest.fields import LATEST, TICK_FIELDS
from api.latest.queries import select_latest_tick
from api.parameters import SymbolParameters
from api.problems import ProblemError
from api.state import SharedState
from shared.database.connection import Connection, Record

router = APIRouter(tags=["Prices"])


@router.get(
    "/price/latest",
    summary="The newest minute",
    responses=describe_cached_answer(LATEST, "The newest closed minute")
    | describe_problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_latest(request: Request, query: SymbolParameters, state: SharedState) -> Response:
    """The newest closed minute that is stored, and how old it is by the exchange's clock."""

    async def read(connection: Connection) -> tuple[Catalog, str, Record | None]:
        catalog = await state.catalogs.catalog(connection)
        symbol = catalog.resolve(query.symbol)
        return catalog, symbol, await select_latest_tick(connection, symbol)

    catalog, symbol, row = await state.database.read(read)
    if row is None:
        raise ProblemError(
            404, "no-data", f"No minute of {symbol} is stored yet; the collector brings the newest first."
        )
    now = catalog.now(symbol)
    age = age_seconds(row["minute"], now)
    tick = orjson.dumps({"symbol": symbol, **read_row(TICK_FIELDS, row)})
    freshness = orjson.dumps({"age_seconds": age, "stale": is_stale(age)})
    return make_cached_response(
        request,
        tick[:-1] + b"," + freshness[1:],
        # What is late may come at any moment.
        compute_time_to_next_minute(now) if age < 60 else timedelta(0),
        # The age alone makes no new answer, or a reader could never be told that it has the newest minute.
        identity=tick + (b"stale" if is_stale(age) else b""),
    )
