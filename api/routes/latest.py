"""`/price/latest`: the newest closed minute."""

from datetime import timedelta

import orjson
from asyncpg import Record
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import cached_response, until_next_minute
from api.catalog import Catalog
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.freshness import age_seconds, is_stale
from api.parameters import SymbolParameters
from api.problems import ProblemError
from api.schemas import Latest
from api.state import SharedState
from shared.database.driver import Connection
from shared.instant import to_text

router = APIRouter(tags=["Prices"])


@router.get(
    "/price/latest",
    response_model=Latest,
    summary="The newest minute",
    responses=cached("The newest closed minute") | problems(400, NO_SYMBOL, NO_DATABASE),
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
    now = catalog.now()
    age = age_seconds(row["minute"], now)
    tick = orjson.dumps(
        {
            "symbol": symbol,
            "price": orjson.Fragment(row["close"]),
            "timestamp": to_text(row["minute"]),
            "open": orjson.Fragment(row["open"]),
            "high": orjson.Fragment(row["high"]),
            "low": orjson.Fragment(row["low"]),
            "volume": orjson.Fragment(row["volume"]),
            "quote_volume": orjson.Fragment(row["quote_volume"]),
            "trades": row["trades"],
            "source": row["source"],
            "created_at": to_text(row["created_at"]),
        }
    )
    freshness = orjson.dumps({"age_seconds": age, "stale": is_stale(age)})
    return cached_response(
        request,
        tick[:-1] + b"," + freshness[1:],
        # What is late may come at any moment.
        until_next_minute(now) if age < 60 else timedelta(0),
        # The age alone makes no new answer, or a reader could never be told that it has the newest minute.
        identity=tick + (b"stale" if is_stale(age) else b""),
    )


async def select_latest_tick(connection: Connection, symbol: str) -> Record | None:
    """Return the newest tick, its decimals as text without trailing zeros."""
    return await connection.fetchrow(
        """
        SELECT minute,
               trim_scale(open)::text AS open,
               trim_scale(high)::text AS high,
               trim_scale(low)::text AS low,
               trim_scale(close)::text AS close,
               trim_scale(volume)::text AS volume,
               trim_scale(quote_volume)::text AS quote_volume,
               trades,
               source,
               created_at
        FROM ticks
        WHERE symbol = $1
        ORDER BY minute DESC
        LIMIT 1
        """,
        symbol,
    )
