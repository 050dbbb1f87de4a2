"""Pauses that exchanges asked for, kept in the database: a restart does not forget them, and others obey them."""

import asyncio
import time
from datetime import datetime

from collector.sources.registry import Sources
from collector.sources.source import Source
from shared.database.connection import Connection
from shared.database.database import Database
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

PAUSE_LOOK_SECONDS = 0.2
PAUSE_LOAD_SECONDS = 1.0


async def load_pauses(connection: Connection, sources: Sources) -> None:
    """Take up the pauses that exchanges asked of another process, before us or beside us."""
    rows = await connection.fetch(
        """
        SELECT source, extract(epoch FROM until - clock_timestamp())::float8 AS seconds, reason
        FROM exchange_pauses
        WHERE until > clock_timestamp()
        """
    )
    for row in rows:
        source = sources.get(row["source"])
        if source:
            source.gate.resume_pause(row["seconds"], row["reason"])


async def share_pauses(database: Database, sources: Sources, stop: asyncio.Event) -> None:
    """Write each pause down as soon as it is asked for, and take up others', until `stop` and once more."""
    loaded_at = time.monotonic()
    is_stopping = False
    while not is_stopping:
        is_stopping = await wait(stop, PAUSE_LOOK_SECONDS)
        changed = [source for source in sources.values() if source.gate.pause_changed.is_set()]
        for source in changed:
            await _keep_pause(database, source)
        if not changed and time.monotonic() - loaded_at >= PAUSE_LOAD_SECONDS:
            loaded_at = time.monotonic()
            await database.read(lambda connection: load_pauses(connection, sources))


async def _keep_pause(database: Database, source: Source) -> None:
    gate = source.gate
    gate.pause_changed.clear()
    try:
        until = await database.write(
            lambda connection: _upsert_pause(connection, source.name, gate.pause_seconds(), gate.pause_reason)
        )
    except BaseException:
        # The pause is still to be written: this process does it when it leads the next time.
        gate.pause_changed.set()
        raise
    log.info("exchange_pause_kept", source=source.name, until=until.isoformat())


async def _upsert_pause(connection: Connection, source: str, seconds: float, reason: str) -> datetime:
    until: datetime = await connection.fetchval(
        """
        INSERT INTO exchange_pauses (source, until, reason)
        VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3)
        ON CONFLICT (source) DO UPDATE
        SET until = greatest(exchange_pauses.until, excluded.until), reason = excluded.reason
        RETURNING until
        """,
        source,
        seconds,
        reason,
    )
    return until
