"""Writes down how trainings ended, reads when the last one was, and lets one predictor train a symbol at a time."""

from datetime import datetime
from typing import Literal, NamedTuple

from shared.database.connection import Connection

# What is locked while a symbol is trained; $1 is the symbol.
_LOCK = "hashtextextended('minutebook training ' || $1, 0)"


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


async def select_is_explained(connection: Connection, symbol: str, since: datetime) -> bool:
    """Whether it is on record how a training ended that ran since then, or another one of the symbol runs now."""
    is_explained: bool = await connection.fetchval(
        f"""
        SELECT EXISTS (SELECT FROM trainings WHERE symbol = $1 AND (started_at >= $2 OR ended_at >= $2))
               -- Let go again when the statement ends.
               OR NOT pg_try_advisory_xact_lock({_LOCK})
        """,  # noqa: S608 - of literals alone
        symbol,
        since,
    )
    return is_explained


async def lock_training(connection: Connection, symbol: str) -> bool:
    """Keep other predictors from training the symbol until the connection ends; False where one does so already."""
    is_locked: bool = await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})", symbol)
    return is_locked
