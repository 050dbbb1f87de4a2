"""Says in Postgres what the predictor does: whether it forecasts each symbol, and why not."""

from dataclasses import dataclass
from datetime import datetime

from shared.database.connection import Connection


@dataclass(frozen=True)
class SymbolStatus:
    """The status of one symbol: `reason` is why there is no forecast, None when there is one."""

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
