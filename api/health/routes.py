"""`/health`, and the probes: whether the process runs, and whether it can serve."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.catalog import select_catalog
from api.documentation import NO_DATABASE, describe_answer, describe_problems
from api.health.fields import HEALTH, LIVENESS, READINESS
from api.health.queries import select_findings
from api.health.view import encode_failure, encode_health
from api.notes import get_notes
from api.problems import make_unavailable_problem
from api.state import SharedState
from shared.errors import DatabaseError, DatabaseOutdatedError

router = APIRouter(tags=["Health"])

_OK = b'{"status":"ok"}'


@router.get(
    "/health",
    summary="How everything is",
    responses=describe_answer(HEALTH, "The database answers")
    | describe_problems(400)
    | {503: describe_answer(HEALTH, "The database does not answer.")[200]},
)
async def read_health(request: Request, state: SharedState) -> Response:
    """The database, the freshness of each symbol's ticks and forecasts, and the services' last signs of life.

    200 as long as the database answers: what is stored is served, fresh or not. 503 comes within 2 s. Forecasts are
    judged once a predictor has run.
    """
    version = request.app.version
    try:
        found = await state.health_database.read(select_findings)
    except DatabaseError as error:
        get_notes(request.scope).reason = str(error)
        is_outdated = isinstance(error, DatabaseOutdatedError)
        return _make_response(encode_failure(version, is_outdated=is_outdated), 200 if is_outdated else 503)
    return _make_response(encode_health(version, found))


@router.get(
    "/health/live", summary="The process runs", responses=describe_answer(LIVENESS, "It does") | describe_problems(400)
)
async def read_liveness() -> Response:
    """Answers without the database, so that a probe does not restart what waits for it."""
    return _make_response(_OK)


@router.get(
    "/health/ready",
    summary="Requests can be served",
    responses=describe_answer(READINESS, "They can") | describe_problems(400, NO_DATABASE),
)
async def read_readiness(request: Request, state: SharedState) -> Response:
    """Whether the database answers and has the schema."""
    try:
        await state.health_database.read(select_catalog)
    except DatabaseError as error:
        get_notes(request.scope).reason = str(error)
        return make_unavailable_problem(error).response(request.url.path)
    return _make_response(_OK)


def _make_response(body: bytes, status: int = 200) -> Response:
    return Response(body, status, {"cache-control": "no-store"}, "application/json")
