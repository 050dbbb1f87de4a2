"""Says in Postgres what the predictor does: whether it forecasts each symbol and why not, and that it is alive."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.database.connection import Connection

_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class SymbolStatus:
    """What is said of one symbol: `reason` is why there is no forecast, None when there is one."""

    symbol: str
    reason: str | None
    made_at: datetime | None
    model_version: int | None
    registry_reason: str | None
    next_training_at: datetime | None


async def upsert_status(connection: Connection, status: SymbolStatus) -> None:
    """Write a symbol's status, dated now; the newest forecast's minute stays where there is no newer one."""
    await connection.execute(
        """
        INSERT INTO predictor_status AS status (
            symbol, checked_at, forecasts, reason, made_at, model_version, registry_reason, next_training_at
        )
        VALUES ($1, clock_timestamp(), $2::text IS NULL, $2, $3, $4, $5, $6)
        ON CONFLICT (symbol) DO UPDATE
        SET checked_at = excluded.checked_at, forecasts = excluded.forecasts, reason = excluded.reason,
            made_at = greatest(excluded.made_at, status.made_at), model_version = excluded.model_version,
            registry_reason = excluded.registry_reason, next_training_at = excluded.next_training_at
        """,
        status.symbol,
        status.reason,
        status.made_at,
        status.model_version,
        status.registry_reason,
        status.next_training_at,
    )


async def upsert_heartbeat(
    connection: Connection, instance: str, started_at: datetime, details: Mapping[str, object]
) -> None:
    """Write that a predictor is alive, with what else there is to say; predictors have no leader, so none is one."""
    await connection.execute(
        """
        INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, details)
        VALUES ('predictor', $1, $2, clock_timestamp(), false, $3)
        ON CONFLICT (service, instance) DO UPDATE
        SET beat_at = excluded.beat_at, details = excluded.details
        """,
        instance,
        started_at,
        json.dumps(details),
    )


async def delete_old_heartbeats(connection: Connection) -> None:
    """Delete the heartbeats of predictors that have been silent for a day."""
    await connection.execute(
        "DELETE FROM heartbeats WHERE service = 'predictor' AND beat_at < clock_timestamp() - $1::interval",
        _FORGOTTEN_AFTER,
    )
