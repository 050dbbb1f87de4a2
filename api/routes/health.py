"""`/health`, and the probes: whether the process runs, and whether it can serve."""

import time
from typing import NamedTuple

import orjson
from asyncpg import Record
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.catalog import Catalog, select_catalog
from api.documentation import NO_DATABASE, problems
from api.health import collector_health, forecast_health, predictor_health, select_heartbeat, tick_health
from api.outlook import Outlook, select_outlooks
from api.problems import unavailable
from api.schemas import Health, Liveness, Readiness
from api.state import SharedState
from shared.database.driver import Connection
from shared.errors import DatabaseError, DatabaseOutdatedError

router = APIRouter(tags=["Health"])

_NOT_KEPT = {"cache-control": "no-store"}


class _Findings(NamedTuple):
    latency_seconds: float
    database: Record
    catalog: Catalog
    collector: Record | None
    outlooks: dict[str, Outlook]
    predictor: Record | None


@router.get(
    "/health",
    response_model=Health,
    summary="How everything is",
    responses=problems(400) | {503: {"model": Health, "description": "The database does not answer."}},
)
async def read_health(request: Request, state: SharedState) -> Response:
    """The database, the freshness of each symbol's ticks and forecasts, and the services' last signs of life.

    200 as long as the database answers: what is stored is served, fresh or not. 503 comes within 2 s. Forecasts are
    judged once a predictor has run.
    """
    try:
        found = await state.database.read_health(_select_findings)
    except DatabaseError as error:
        request.scope["minutebook.notes"]["reason"] = str(error)
        return _without_findings(request.app.version, error)
    catalog = found.catalog
    now = catalog.now()
    ticks = {
        symbol: tick_health(minute, now, is_collected=symbol in catalog.collected)
        for symbol, minute in catalog.newest.items()
    }
    forecasts = {symbol: forecast_health(outlook, now) for symbol, outlook in found.outlooks.items()}
    collector = collector_health(found.collector) if found.collector else None
    predictor = predictor_health(found.predictor) if found.predictor else None
    parts = [*ticks.values(), *forecasts.values(), *(service for service in (collector, predictor) if service)]
    # A record without forecasts is well too, one that nobody collects is not.
    is_well = bool(catalog.collected) and collector is not None and not any(part["stale"] for part in parts)
    body = {
        "status": "ok" if is_well else "degraded",
        "version": request.app.version,
        "database": {
            "status": "ok",
            "latency_ms": round(found.latency_seconds * 1_000, 3),
            "is_replica": found.database["is_replica"],
            "replica_lag_seconds": found.database["replica_lag_seconds"],
        },
        "ticks": ticks,
        "collector": collector,
        "forecasts": forecasts,
        "predictor": predictor,
    }
    return Response(orjson.dumps(body), headers=_NOT_KEPT, media_type="application/json")


@router.get("/health/live", response_model=Liveness, summary="The process runs", responses=problems(400))
async def read_liveness() -> Response:
    """Answers without the database, so that a probe does not restart what waits for it."""
    return Response(b'{"status":"ok"}', headers=_NOT_KEPT, media_type="application/json")


@router.get(
    "/health/ready",
    response_model=Readiness,
    summary="Requests can be served",
    responses=problems(400, NO_DATABASE),
)
async def read_readiness(request: Request, state: SharedState) -> Response:
    """Whether the database answers and has the schema."""
    try:
        await state.database.read_health(select_catalog)
    except DatabaseError as error:
        request.scope["minutebook.notes"]["reason"] = str(error)
        return unavailable(error).response(request.url.path)
    return Response(b'{"status":"ok"}', headers=_NOT_KEPT, media_type="application/json")


async def _select_findings(connection: Connection) -> _Findings:
    began = time.perf_counter()
    database = await connection.fetchrow(
        """
        SELECT pg_is_in_recovery() AS is_replica,
               CASE WHEN pg_is_in_recovery() THEN
                   date_part('epoch', clock_timestamp() - pg_last_xact_replay_timestamp())
               END AS replica_lag_seconds
        """
    )
    latency = time.perf_counter() - began
    assert database is not None  # noqa: S101 - a SELECT without FROM has one row
    return _Findings(
        latency,
        database,
        await select_catalog(connection),
        await select_heartbeat(connection, "collector"),
        await select_outlooks(connection),
        await select_heartbeat(connection, "predictor"),
    )


def _without_findings(version: str, error: DatabaseError) -> Response:
    answers = isinstance(error, DatabaseOutdatedError)
    body = {
        "status": "degraded" if answers else "unavailable",
        "version": version,
        "database": {
            "status": "outdated" if answers else "unavailable",
            "latency_ms": None,
            "is_replica": None,
            "replica_lag_seconds": None,
        },
        "ticks": {},
        "collector": None,
        "forecasts": {},
        "predictor": None,
    }
    return Response(orjson.dumps(body), 200 if answers else 503, _NOT_KEPT, "application/json")
