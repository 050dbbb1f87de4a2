"""Recomputes every rollup from the ticks, after a bulk load or a restore."""

from datetime import datetime

from tqdm import tqdm

from shared.database.connection import Connection
from shared.database.database import connect
from shared.instant import DAY
from shared.logging import get_logger

log = get_logger(__name__)

_STEP = 30 * DAY


async def rebuild_rollups(owner_url: str) -> int:
    """Recompute all symbols' rollups, a month a transaction, and return the number of hours written.

    Rollups of hours without a tick go. A collector may run beside it: each step is as atomic as its own writes.
    """
    async with connect(owner_url, "minutebook-rollups") as connection:
        rows = await connection.fetch("SELECT DISTINCT symbol FROM ticks ORDER BY symbol")
        for row in rows:
            await _rebuild_symbol(connection, row["symbol"])
        await _delete_orphans(connection)
        count: int = await connection.fetchval("SELECT count(*) FROM hourly_rollups")
    log.info("rollups_rebuilt", symbols=len(rows), hours=count)
    return count


async def _rebuild_symbol(connection: Connection, symbol: str) -> None:
    first: datetime = await connection.fetchval("SELECT min(minute) FROM ticks WHERE symbol = $1", symbol)
    last: datetime = await connection.fetchval("SELECT max(minute) FROM ticks WHERE symbol = $1", symbol)
    with tqdm(total=(last - first) // DAY + 1, desc=symbol, unit="day") as progress:
        start = first
        while start <= last:
            # A writer that changes a tick between our reading and our commit must come after us, or it would be undone.
            async with connection.transaction():
                await connection.execute("LOCK TABLE hourly_rollups IN SHARE ROW EXCLUSIVE MODE")
                await connection.execute("SELECT refresh_rollups($1, $2, $3)", symbol, start, start + _STEP)
            progress.update(min(_STEP, last + DAY - start) // DAY)
            start += _STEP


async def _delete_orphans(connection: Connection) -> None:
    await connection.execute(
        """
        DELETE FROM hourly_rollups AS rollup
        WHERE NOT EXISTS (
            SELECT FROM ticks
            WHERE ticks.symbol = rollup.symbol
              AND ticks.minute >= rollup.hour
              AND ticks.minute < rollup.hour + interval '1 hour'
        )
        """
    )
    await connection.execute(
        """
        DELETE FROM daily_rollups AS rollup
        WHERE NOT EXISTS (
            SELECT FROM hourly_rollups
            WHERE hourly_rollups.symbol = rollup.symbol
              AND hourly_rollups.hour >= rollup.day
              AND hourly_rollups.hour < rollup.day + interval '1 day'
        )
        """
    )
