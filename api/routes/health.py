"""`/health`, and the probes: whether the process runs, and whether it can serve."""

import time
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from asyncpg import Record
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.catalog import Catalog, select_catalog
from api.documentation import NO_DATABASE, problems
from api.freshness import age_seconds, is_stale
from api.problems import unavailable
from api.schemas import Health, Liveness, Readiness
from api.state import SharedState
from shared.database.connection import Connection
from shared.errors import DatabaseError, DatabaseOutdatedError
from shared.instant import to_text

router = APIRouter(tags=["Health"])

# A collector gives a sign every few seconds; past this, several were missed.
_SILENT_SECONDS = 60
_NOT_KEPT = {"cache-control": "no-store"}


class _Findings(NamedTuple):
    latency_seconds: float
    database: Record
    catalog: Catalog
    collector: Record | None


@router.get(
    "/health",
    response_model=Health,
    summary="How everything is",
    responses=problems(400) | {503: {"model": Health, "description": "The database does not answer."}},
)
async def read_health(request: Request, state: SharedState) -> Response:
    """The database, the freshness of each symbol's ticks, and the collector's last sign of life.

    200 as long as the database answers: what is stored is served, fresh or not. 503 comes within 2 s.
    """
    try:
        found = await state.database.read_health(_select_findings)
    except DatabaseError as error:
        request.scope["minutebook.notes"]["reason"] = str(error)
        return _without_findings(request.app.version, error)
    now = found.catalog.now()
    ticks = {symbol: _tick_health(minute, now) for symbol, minute in found.catalog.newest.items()}
    collector = _collector_health(found.collector)
    is_fresh = bool(ticks) and not any(tick["stale"] for tick in ticks.values())
    body = {
        "status": "ok" if is_fresh and collector and not collector["stale"] else "degraded",
        "version": request.app.version,
        "database": {
            "status": "ok",
            "latency_ms": round(found.latency_seconds * 1_000, 3),
            "is_replica": found.database["is_replica"],
            "replica_lag_seconds": found.database["replica_lag_seconds"],
        },
        "ticks": ticks,
        "collector": collector,
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
    return _Findings(latency, database, await select_catalog(connection), await _select_heartbeat(connection))


async def _select_heartbeat(connection: Connection) -> Record | None:
    return await connection.fetchrow(
        """
        SELECT instance, is_leader, started_at, beat_at, exchange_time, details::text AS details,
               greatest(0, date_part('epoch', clock_timestamp() - beat_at)) AS age_seconds,
               count(*) FILTER (WHERE clock_timestamp() - beat_at < $1 * interval '1 second') OVER () AS instances
        FROM heartbeats
        WHERE service = 'collector'
        ORDER BY is_leader AND clock_timestamp() - beat_at < $1 * interval '1 second' DESC, beat_at DESC
        LIMIT 1
        """,
        _SILENT_SECONDS,
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
    }
    return Response(orjson.dumps(body), 200 if answers else 503, _NOT_KEPT, "application/json")


def _tick_health(minute: datetime | None, now: datetime) -> dict[str, Any]:
    if minute is None:
        return {"timestamp": None, "age_seconds": None, "stale": True}
    age = age_seconds(minute, now)
    return {"timestamp": to_text(minute), "age_seconds": age, "stale": is_stale(age)}


def _collector_health(row: Record | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "instance": row["instance"],
        "is_leader": row["is_leader"],
        "started_at": to_text(row["started_at"]),
        "beat_at": to_text(row["beat_at"]),
        "age_seconds": round(row["age_seconds"], 3),
        "stale": row["age_seconds"] > _SILENT_SECONDS,
        "exchange_time": to_text(row["exchange_time"]) if row["exchange_time"] else None,
        "instances": row["instances"],
        "details": orjson.Fragment(row["details"]),
    }
