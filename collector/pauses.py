"""A pause that the exchange asked for, kept in the database: a restart does not forget it, and others obey it."""

import asyncio
import time
from datetime import datetime

from collector.exchange import Exchange
from shared.database.driver import Executor
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

PAUSE_LOOK_SECONDS = 0.2
PAUSE_LOAD_SECONDS = 1.0


async def load_pause(executor: Executor, exchange: Exchange) -> None:
    """Go on with a pause that the exchange asked of another process, before us or beside us."""
    row = await executor.fetchrow(
        """
        SELECT extract(epoch FROM until - clock_timestamp())::float8 AS seconds, reason
        FROM exchange_pauses
        WHERE source = 'binance'
        """
    )
    if row and row["seconds"] > 0:
        exchange.gate.go_on_pausing(row["seconds"], row["reason"])


async def share_pauses(executor: Executor, exchange: Exchange, stop: asyncio.Event) -> None:
    """Write each pause down as soon as it is asked for, so that a restart does not forget it, and take up others'."""
    loaded_at = time.monotonic()
    stopping = False
    while not stopping:
        stopping = await wait(stop, PAUSE_LOOK_SECONDS)
        if exchange.gate.pause_changed.is_set():
            exchange.gate.pause_changed.clear()
            try:
                until = await _upsert_pause(executor, exchange.gate.pause_seconds(), exchange.gate.pause_reason)
            except BaseException:
                # Still to be written down, by whoever leads next in this process.
                exchange.gate.pause_changed.set()
                raise
            log.info("exchange_pause_kept", until=until.isoformat())
        elif time.monotonic() - loaded_at >= PAUSE_LOAD_SECONDS:
            loaded_at = time.monotonic()
            await load_pause(executor, exchange)


async def _upsert_pause(executor: Executor, seconds: float, reason: str) -> datetime:
    until: datetime = await executor.fetchval(
        """
        INSERT INTO exchange_pauses (source, until, reason)
        VALUES ('binance', clock_timestamp() + make_interval(secs => $1), $2)
        ON CONFLICT (source) DO UPDATE
        SET until = greatest(exchange_pauses.until, excluded.until), reason = excluded.reason
        RETURNING until
        """,
        seconds,
        reason,
    )
    return until
