"""Writes down how trainings ended, and reads when the last one was."""

from datetime import datetime
from typing import Literal, NamedTuple

from shared.database.connection import Connection


class TrainingOutcome(NamedTuple):
    """How an attempt to train ended, and why so; the version is the registered model's, None where it failed."""

    name: Literal["promoted", "kept", "failed"]
    reason: str
    version: int | None = None


class LastTraining(NamedTuple):
    """The newest training of a symbol that ended well."""

    started_at: datetime
    version: int


async def insert_training(connection: Connection, symbol: str, started_at: datetime, outcome: TrainingOutcome) -> None:
    """Write down how an attempt to train ended."""
    await connection.execute(
        """
        INSERT INTO trainings (symbol, started_at, ended_at, outcome, reason, version)
        VALUES ($1, $2, clock_timestamp(), $3, $4, $5)
        ON CONFLICT (symbol, started_at) DO NOTHING
        """,
        symbol,
        started_at,
        *outcome,
    )


async def select_last_training(connection: Connection, symbol: str) -> LastTraining | None:
    """Read the newest training that ended well."""
    row = await connection.fetchrow(
        """
        SELECT started_at, version
        FROM trainings
        WHERE symbol = $1
          AND outcome <> 'failed'
        ORDER BY started_at DESC
        LIMIT 1
        """,
        symbol,
    )
    return LastTraining(row["started_at"], row["version"]) if row else None
