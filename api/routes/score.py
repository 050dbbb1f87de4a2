"""`/price/predict/score`: how good the forecasts have been, beside naive's."""

from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
from asyncpg import Record
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import cached_response, until_next_minute
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.forecast_schemas import ScoreBoard
from api.horizons import NO_HORIZON, check_horizon
from api.outlook import Outlook, select_outlooks
from api.parameters import PredictParameters
from api.state import SharedState
from api.track_record import TrackRecord
from shared.database.driver import Connection
from shared.instant import to_text

router = APIRouter(tags=["Forecasts"])


class _Found(NamedTuple):
    symbol: str
    now: datetime
    horizons: list[int]
    track_record: TrackRecord
    trainings: list[Record]


@router.get(
    "/price/predict/score",
    response_model=ScoreBoard,
    summary="How good the forecasts have been",
    responses=cached("The scores") | problems(400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON}),
)
async def read_score(request: Request, query: PredictParameters, state: SharedState) -> Response:
    """Scores of the last 24 hours, 7 and 30 days by horizon, naive's error beside ours, and the last trainings.

    A window holds the forecasts whose targets lie in it. One whose target spans a missing minute is not scored until
    that minute arrives; one that a correction changed is scored again.
    """

    async def read(connection: Connection) -> _Found:
        catalog = await state.catalogs.catalog(connection)
        symbol = catalog.resolve(query.symbol)
        outlook = (await select_outlooks(connection)).get(symbol, Outlook(symbol))
        check_horizon(query.horizon, outlook)
        track_record = await state.track_records.track_record(connection, symbol, catalog.closed_until())
        horizons = sorted({*outlook.horizons, *track_record.horizons} if query.horizon is None else {query.horizon})
        return _Found(symbol, catalog.now(), horizons, track_record, await _select_trainings(connection, symbol))

    found = await state.database.read(read)
    record = found.track_record
    body = {
        "symbol": found.symbol,
        "until": to_text(record.until),
        "horizons": [{"horizon_minutes": each, "windows": record.scores(each)} for each in found.horizons],
        "trainings": [
            {
                **training,
                "started_at": to_text(training["started_at"]),
                "ended_at": to_text(training["ended_at"]),
            }
            for training in map(dict, found.trainings)
        ],
    }
    # The scores of the minute that closed last may come at any moment, or be there.
    max_age = until_next_minute(found.now) if record.is_complete else timedelta(0)
    return cached_response(request, orjson.dumps(body), max_age)


async def _select_trainings(connection: Connection, symbol: str) -> list[Record]:
    return await connection.fetch(
        """
        SELECT started_at, ended_at, outcome, reason, version
        FROM trainings
        WHERE symbol = $1
        ORDER BY started_at DESC
        LIMIT 10
        """,
        symbol,
    )
