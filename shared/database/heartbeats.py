"""The rows in which each process of a service says that it is alive."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.database.connection import Connection

_FORGOTTEN_AFTER = timedelta(days=1)


async def upsert_heartbeat(  # noqa: PLR0913 - what is said, and of whom
    connection: Connection,
    service: str,
    instance: str,
    started_at: datetime,
    details: Mapping[str, object],
    *,
    is_leader: bool = False,
) -> None:
    """Write that a process is alive now, with what else there is to say of it."""
    await connection.execute(
        """
        INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, details)
        VALUES ($1, $2, $3, clock_timestamp(), $4, $5)
        ON CONFLICT (service, instance) DO UPDATE
        SET beat_at = excluded.beat_at, is_leader = excluded.is_leader, details = excluded.details
        """,
        service,
        instance,
        started_at,
        is_leader,
        json.dumps(details),
    )


async def delete_old_heartbeats(connection: Connection, service: str) -> None:
    """Delete the heartbeats of a service's processes that have been silent for a day."""
    await connection.execute(
        "DELETE FROM heartbeats WHERE service = $1 AND beat_at < clock_timestamp() - $2::interval",
        service,
        _FORGOTTEN_AFTER,
    )
