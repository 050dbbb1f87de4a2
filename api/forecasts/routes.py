"""`/price/predict`, `/price/predict/history` and `/price/predict/score`."""

from datetime import timedelta
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.caching import compute_time_to_next_minute, make_cached_response
from api.documentation import NO_DATABASE, NO_SYMBOL, describe_cached_answer, describe_problems
from api.forecast_status import select_forecast_status
from api.forecasts.fields import LEVELS_IN_WORDS, PAST_FORECASTS, PREDICTION, SCORE_BOARD
from api.forecasts.horizons import NO_HORIZON, check_horizon
from api.forecasts.newest import find_newest_made_at, select_fresh_forecasts
from api.forecasts.parameters import PastForecastsParameters, PredictParameters
from api.forecasts.past import select_first_page
from api.forecasts.trainings import select_trainings
from api.forecasts.view import Prediction, ScoreBoard, encode_prediction, encode_score_board
from api.notes import get_notes
from api.problems import ProblemError
from api.rows import CSV_MEDIA_TYPE, answer_with_rows
from api.state import SharedState
from shared.database.connection import Connection
from shared.instant import MINUTE

router = APIRouter(tags=["Forecasts"])

_RETRY_AFTER_SECONDS = 5

_PREDICT = f"""\
The newest forecast over each horizon: a price, and the intervals that it will lie in with {LEVELS_IN_WORDS}.

Each was written before its target and carries its model and how good those before it were. What has expired is
never served: without a fresh forecast the answer is a 503 that says why."""


@router.get(
    "/price/predict",
    summary="The price to come",
    description=_PREDICT,
    responses=describe_cached_answer(PREDICTION, "The newest forecasts")
    | describe_problems(
        400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON, 503: "No forecast is fresh, and `detail` says why."}
    ),
)
async def read_predict(request: Request, query: PredictParameters, state: SharedState) -> Response:
    """Answer with the newest forecasts; the documentation has the route's own description."""

    async def read(connection: Connection) -> Prediction:
        catalog = await state.catalogs.catalog(connection)
        symbol = catalog.resolve(query.symbol)
        status = await select_forecast_status(connection, symbol)
        check_horizon(query.horizon, status)
        now = catalog.now(symbol)
        forecasts = await select_fresh_forecasts(connection, symbol, now)
        track_record = await state.track_records.track_record(connection, symbol, catalog.closed_until(symbol))
        wanted = [each for each in forecasts if query.horizon in {None, each.horizon_minutes}]
        return Prediction(symbol, now, status, wanted, track_record)

    found = await state.database.read(read)
    if not found.forecasts:
        problem = _make_no_forecast_problem(found, query.horizon)
        get_notes(request.scope).reason = problem.detail
        raise problem
    content, ages = encode_prediction(found)
    # The ages alone make no new answer, or a reader could never be told that it has the newest forecasts.
    return make_cached_response(request, content[:-1] + b"," + ages[1:], _compute_max_age(found), identity=content)


@router.get(
    "/price/predict/history",
    summary="Past forecasts, and what became of them",
    responses=describe_cached_answer(PAST_FORECASTS, "A page of forecasts", CSV_MEDIA_TYPE)
    | describe_problems(400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON}),
)
async def read_predict_history(request: Request, query: PastForecastsParameters, state: SharedState) -> Response:
    """Forecasts made in [start, end), as they were written, each with its outcome; without a start, the newest.

    Follow `next_cursor` (in CSV the header `Next-Cursor`) with the same parameters to get every forecast exactly once.
    CSV without a limit is the whole range, streamed: one that breaks off ends without its last chunk.
    """
    return await answer_with_rows(request, state, query, partial(select_first_page, query=query))


@router.get(
    "/price/predict/score",
    summary="How good the forecasts have been",
    responses=describe_cached_answer(SCORE_BOARD, "The scores")
    | describe_problems(400, NO_SYMBOL, NO_DATABASE, also={404: NO_HORIZON}),
)
async def read_score(request: Request, query: PredictParameters, state: SharedState) -> Response:
    """Scores of the last 24 hours, 7 and 30 days by horizon, naive's error beside ours, and the last trainings.

    A window holds the forecasts whose targets lie in it. One whose target spans a missing minute is not scored until
    that minute arrives; one that a correction changed is scored again.
    """

    async def read(connection: Connection) -> ScoreBoard:
        catalog = await state.catalogs.catalog(connection)
        symbol = catalog.resolve(query.symbol)
        status = await select_forecast_status(connection, symbol)
        check_horizon(query.horizon, status)
        track_record = await state.track_records.track_record(connection, symbol, catalog.closed_until(symbol))
        horizons = sorted({*status.horizons, *track_record.horizons} if query.horizon is None else {query.horizon})
        trainings = await select_trainings(connection, symbol)
        return ScoreBoard(symbol, catalog.now(symbol), horizons, track_record, trainings)

    found = await state.database.read(read)
    # The scores of the minute that closed last may come at any moment, or be there.
    max_age = compute_time_to_next_minute(found.now) if found.track_record.is_complete else timedelta(0)
    return make_cached_response(request, encode_score_board(found), max_age)


def _compute_max_age(found: Prediction) -> timedelta:
    # The next one may come at any moment once its minute has closed.
    is_newest = found.now < find_newest_made_at(found.forecasts) + MINUTE
    expires_in = min(forecast.expires_at for forecast in found.forecasts) - found.now
    return min(compute_time_to_next_minute(found.now), expires_in) if is_newest else timedelta(0)


def _make_no_forecast_problem(found: Prediction, horizon: int | None) -> ProblemError:
    reason = found.status.explain_absence()
    if found.status.is_fresh(found.now):
        reason = f"There is no fresh forecast over {horizon} minutes; there is one over another horizon."
    return ProblemError(503, "no-forecast", reason, headers={"retry-after": str(_RETRY_AFTER_SECONDS)})
