"""What `/health` says of each part: ticks and forecasts by symbol, and the services by their heartbeats."""

from datetime import datetime
from typing import Any

import orjson
from asyncpg import Record

from api.freshness import SILENT_SECONDS, age_seconds, is_stale, seconds_since
from api.outlook import Outlook
from shared.database.driver import Connection
from shared.instant import to_text


async def select_heartbeat(connection: Connection, service: str) -> Record | None:
    """Read the heartbeat of a service's leader, or where none leads, the newest; and how many of them live."""
    return await connection.fetchrow(
        """
        SELECT instance, is_leader, started_at, beat_at, details::text AS details,
               CASE WHEN is_leader THEN (SELECT max(exchange_time) FROM exchange_clocks) END AS exchange_time,
               greatest(0, date_part('epoch', clock_timestamp() - beat_at)) AS age_seconds,
               count(*) FILTER (WHERE clock_timestamp() - beat_at < $1 * interval '1 second') OVER () AS instances
        FROM heartbeats
        WHERE service = $2
        ORDER BY is_leader AND clock_timestamp() - beat_at < $1 * interval '1 second' DESC, beat_at DESC
        LIMIT 1
        """,
        SILENT_SECONDS,
        service,
    )


def tick_health(minute: datetime | None, now: datetime, *, is_collected: bool) -> dict[str, Any]:
    """What is said of a symbol's newest minute."""
    age = None if minute is None else age_seconds(minute, now)
    return {
        "timestamp": _text(minute),
        "age_seconds": age,
        "collected": is_collected,
        "stale": is_collected and (age is None or is_stale(age)),
    }


def forecast_health(outlook: Outlook, now: datetime) -> dict[str, Any]:
    """What is said of a symbol's forecasts."""
    is_fresh = outlook.is_fresh(now)
    return {
        "made_at": _text(outlook.made_at),
        "age_seconds": None if outlook.made_at is None else seconds_since(outlook.made_at, now),
        "predicted": outlook.is_wanted,
        "stale": outlook.is_wanted and not is_fresh,
        "reason": None if is_fresh else outlook.why_none(),
        "model_version": outlook.model_version,
        "model_age_seconds": None if outlook.model_age_seconds is None else round(outlook.model_age_seconds, 3),
        "registry_reason": None if outlook.is_silent else outlook.registry_reason,
        "next_training_at": None if outlook.is_silent else _text(outlook.next_training_at),
    }


def collector_health(row: Record) -> dict[str, Any]:
    """What is said of the collectors, by one's heartbeat."""
    is_leader, exchange_time = row["is_leader"], _text(row["exchange_time"])
    return {**predictor_health(row), "is_leader": is_leader, "exchange_time": exchange_time}


def predictor_health(row: Record) -> dict[str, Any]:
    """What is said of the predictors, by one's heartbeat."""
    return {
        "instance": row["instance"],
        "started_at": to_text(row["started_at"]),
        "beat_at": to_text(row["beat_at"]),
        "age_seconds": round(row["age_seconds"], 3),
        "stale": row["age_seconds"] > SILENT_SECONDS,
        "instances": row["instances"],
        "details": orjson.Fragment(row["details"]),
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else to_text(instant)
