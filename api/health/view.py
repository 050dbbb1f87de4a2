"""What `/health` says of each part: the database, ticks and forecasts by symbol, and the services."""

from datetime import datetime
from typing import Any

import orjson

from api.fields import Object, read_row
from api.forecast_status import ForecastStatus
from api.freshness import SILENT_SECONDS, age_seconds, is_stale, seconds_since
from api.health.fields import COLLECTOR_HEALTH, FORECAST_HEALTH, PREDICTOR_HEALTH, TICK_HEALTH
from api.health.queries import Findings
from shared.database.connection import Record


def encode_health(version: str, found: Findings) -> bytes:
    """Return the answer of a database that was read."""
    catalog = found.catalog
    ticks = {
        symbol: _describe_ticks(minute, catalog.now(symbol), is_collected=symbol in catalog.collected)
        for symbol, minute in catalog.newest.items()
    }
    forecasts = {symbol: _describe_forecasts(status, catalog.now(symbol)) for symbol, status in found.forecasts.items()}
    collector = _describe_service(COLLECTOR_HEALTH, found.collector)
    predictor = _describe_service(PREDICTOR_HEALTH, found.predictor)
    parts = [*ticks.values(), *forecasts.values(), *(service for service in (collector, predictor) if service)]
    # A record without forecasts is well too, one that nobody collects is not.
    is_well = bool(catalog.collected) and collector is not None and not any(part["stale"] for part in parts)
    return orjson.dumps(
        {
            "status": "ok" if is_well else "degraded",
            "version": version,
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
    )


def encode_failure(version: str, *, is_outdated: bool) -> bytes:
    """Return the answer of a database that does not answer, or does and was not migrated."""
    return orjson.dumps(
        {
            "status": "degraded" if is_outdated else "unavailable",
            "version": version,
            "database": {
                "status": "outdated" if is_outdated else "unavailable",
                "latency_ms": None,
                "is_replica": None,
                "replica_lag_seconds": None,
            },
            "ticks": {},
            "collector": None,
            "forecasts": {},
            "predictor": None,
        }
    )


def _describe_ticks(minute: datetime | None, now: datetime, *, is_collected: bool) -> dict[str, Any]:
    """Return what `/health` reports of a symbol's newest minute."""
    age = None if minute is None else age_seconds(minute, now)
    values = {
        "timestamp": minute,
        "age_seconds": age,
        "collected": is_collected,
        "stale": is_collected and (age is None or is_stale(age)),
    }
    return read_row(TICK_HEALTH.fields, values)


def _describe_forecasts(status: ForecastStatus, now: datetime) -> dict[str, Any]:
    """Return what `/health` reports of a symbol's forecasts."""
    is_fresh = status.is_fresh(now)
    values = {
        "made_at": status.made_at,
        "age_seconds": None if status.made_at is None else seconds_since(status.made_at, now),
        "predicted": status.is_wanted,
        "stale": status.is_wanted and not is_fresh,
        "reason": None if is_fresh else status.explain_absence(),
        "model_version": status.model_version,
        "model_age_seconds": None if status.model_age_seconds is None else round(status.model_age_seconds, 3),
        "registry_reason": None if status.is_silent else status.registry_reason,
        "next_training_at": None if status.is_silent else status.next_training_at,
    }
    return read_row(FORECAST_HEALTH.fields, values)


def _describe_service(health: Object, row: Record | None) -> dict[str, Any] | None:
    """Return what `/health` reports of a service, from the heartbeat of one of its processes."""
    if row is None:
        return None
    age = row["age_seconds"]
    return read_row(health.fields, {**row, "age_seconds": round(age, 3), "stale": age > SILENT_SECONDS})
