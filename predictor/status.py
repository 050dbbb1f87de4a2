"""Says in Postgres what the predictor does: for each symbol whether it forecasts and why not, and that it lives."""

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.database.driver import Connection
from shared.instant import utc_now

_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Status:
    """Of one symbol: `reason` says why there is no forecast, None when there is one."""

    symbol: str
    reason: str | None
    made_at: datetime | None
    model_version: int | None
    registry_reason: str | None
    next_training_at: datetime | None


def make_instance() -> str:
    """Return a name for this process that no other has."""
    return f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(3)}"


async def upsert_status(connection: Connection, status: Status) -> None:
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


class Heartbeat:
    """A row in `heartbeats` for the process that we are."""

    def __init__(self) -> None:
        self.instance = make_instance()
        self._started_at = utc_now()

    async def beat(self, connection: Connection, details: Mapping[str, object]) -> None:
        """Say that we live, with what else there is to say; predictors have no leader, so none is one."""
        await connection.execute(
            """
            INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, details)
            VALUES ('predictor', $1, $2, clock_timestamp(), false, $3)
            ON CONFLICT (service, instance) DO UPDATE
            SET beat_at = excluded.beat_at, details = excluded.details
            """,
            self.instance,
            self._started_at,
            json.dumps(details),
        )

    async def forget_others(self, connection: Connection) -> None:
        """Remove the rows of predictors that have been silent for a day."""
        await connection.execute(
            "DELETE FROM heartbeats WHERE service = 'predictor' AND beat_at < clock_timestamp() - $1::interval",
            _FORGOTTEN_AFTER,
        )
