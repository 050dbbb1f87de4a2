"""Listens to Postgres for new ticks. Its users also poll, so that a lost notice costs a second."""

import asyncio
from collections.abc import Callable

from shared.backoff import Backoff
from shared.database.database import connect
from shared.errors import DatabaseError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

CHANNEL = "ticks"
_LONGEST_RETRY_SECONDS = 2.0
_PROBE_SECONDS = 10.0
_PROBE_TIMEOUT_SECONDS = 3.0


async def listen(url: str, on_tick: Callable[[str], None], stop: asyncio.Event) -> None:
    """Call `on_tick` with the symbol of each change of ticks until `stop`; a lost connection is opened again."""
    backoff = Backoff(1.0, _LONGEST_RETRY_SECONDS)
    while not stop.is_set():
        try:
            async with connect(url, "minutebook-predictor listener") as connection:
                await connection.listen(CHANNEL, on_tick)
                backoff.reset()
                while not await wait(stop, _PROBE_SECONDS):
                    # A connection that a broken network swallowed says nothing by itself.
                    await connection.execute("SELECT", timeout_seconds=_PROBE_TIMEOUT_SECONDS)
        except DatabaseError as error:
            log.debug("not_listening", reason=str(error))
            await wait(stop, backoff.next())
