"""`/price/predict`: the newest forecasts, with their model and their track record."""

from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import cached_response, until_next_minute
from api.documentation import NO_DATABASE, NO_SYMBOL, cached, problems
from api.forecast_schemas import Predict
from api.forecasts import FreshForecast, newest_made_at, select_fresh_forecasts
from api.freshness import seconds_since
from api.horizons import NO_HORIZON, check_horizon
from api.outlook import Outlook, select_outlooks
from api.parameters import PredictParameters
from api.problems import ProblemError
from api.state import SharedState
from api.track_record import TrackRecord
from shared.database.driver import Connection
from shared.instant import MINUTE, to_text

router = APIRouter(tags=["Forecasts"])

_RETRY_AFTER_SECONDS = 5


class _Found(NamedTuple):
    symbol: str
    now: datetime
    outlook: Outlook
    forecasts: list[FreshForecast]
    track_record: TrackRecord


@router.get(
    "/price/predict",
    response_model=Predict,
    summary="The price to come",
    responses=cached("The newest forecasts")
    | problems(
        400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON, 503: "No forecast is fresh, and `detail` says why."}
    ),
)
async def read_predict(request: Request, query: PredictParameters, state: SharedState) -> Response:
    """The newest forecast over each horizon: a price, and the intervals that it will lie in with 50, 80 and 95 %.

    Each was written before its target and carries its model and how good those before it were. What has expired is
    never served: without a fresh forecast the answer is a 503 that says why.
    """

    async def read(connection: Connection) -> _Found:
        catalog = await state.catalogs.catalog(connection)
        symbol = catalog.resolve(query.symbol)
        outlook = (await select_outlooks(connection)).get(symbol, Outlook(symbol))
        check_horizon(query.horizon, outlook)
        now = catalog.now()
        forecasts = await select_fresh_forecasts(connection, symbol, now)
        track_record = await state.track_records.track_record(connection, symbol, catalog.closed_until())
        return _Found(symbol, now, outlook, forecasts, track_record)

    found = await state.database.read(read)
    if query.horizon is not None:
        found = found._replace(forecasts=[each for each in found.forecasts if each.horizon_minutes == query.horizon])
    if not found.forecasts:
        problem = _no_forecast(found, query.horizon)
        request.scope["minutebook.notes"]["reason"] = problem.detail
        raise problem
    content, ages = _encode(found)
    # The ages alone make no new answer, or a reader could never be told that it has the newest forecasts.
    return cached_response(request, content[:-1] + b"," + ages[1:], _max_age(found), identity=content)


def _encode(found: _Found) -> tuple[bytes, bytes]:
    """Return the answer's JSON in two objects: without the ages, and the ages."""
    content = {
        "symbol": found.symbol,
        "forecasts": [
            {**forecast.content, "track_record": _track_record(found.track_record, forecast.horizon_minutes)}
            for forecast in found.forecasts
        ],
        "notes": _notes(found),
    }
    ages = {
        "age_seconds": seconds_since(newest_made_at(found.forecasts), found.now),
        "model_age_seconds": round(max(forecast.model_age_seconds for forecast in found.forecasts), 3),
    }
    return orjson.dumps(content), orjson.dumps(ages)


def _track_record(record: TrackRecord, horizon: int) -> dict[str, object]:
    names = ("n", "mae", "naive_mae", "relative_mae", "coverage")
    return {window: {name: score[name] for name in names} for window, score in record.scores(horizon).items()}


def _notes(found: _Found) -> list[str]:
    outlook = found.outlook
    if outlook.is_silent or outlook.registry_reason is None or outlook.trained_at is None:
        return []
    model = f"version {outlook.model_version} of the model, trained at {to_text(outlook.trained_at)}"
    return [f"{outlook.registry_reason} Forecasts go on with {model}."]


def _max_age(found: _Found) -> timedelta:
    # The next one may come at any moment once its minute has closed.
    is_newest = found.now < newest_made_at(found.forecasts) + MINUTE
    expires_in = min(forecast.expires_at for forecast in found.forecasts) - found.now
    return min(until_next_minute(found.now), expires_in) if is_newest else timedelta(0)


def _no_forecast(found: _Found, horizon: int | None) -> ProblemError:
    reason = found.outlook.why_none()
    if found.outlook.is_fresh(found.now):
        reason = f"There is no fresh forecast over {horizon} minutes; there is one over another horizon."
    return ProblemError(503, "no-forecast", reason, headers={"retry-after": str(_RETRY_AFTER_SECONDS)})
