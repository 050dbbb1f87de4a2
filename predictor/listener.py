"""Hears from Postgres of new ticks; whoever relies on it also looks by itself, so that silence costs a second."""

import asyncio
from collections.abc import Callable

from shared.database.driver import connect, translated
from shared.errors import DatabaseError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)

CHANNEL = "ticks"
_RETRY_SECONDS = 1.0
_PROBE_SECONDS = 10.0
_PROBE_TIMEOUT_SECONDS = 3.0


async def listen(url: str, on_tick: Callable[[str], None], stop: asyncio.Event) -> None:
    """Call `on_tick` with the symbol of each change of ticks until `stop`; a lost connection is opened again."""
    while not stop.is_set():
        try:
            await _listen_once(url, on_tick, stop)
        except DatabaseError as error:
            log.debug("not_listening", reason=str(error))
            await wait(stop, _RETRY_SECONDS)


async def _listen_once(url: str, on_tick: Callable[[str], None], stop: asyncio.Event) -> None:
    async with connect(url, "minutebook-predictor listener") as connection:
        with translated():
            await connection.add_listener(CHANNEL, lambda *heard: on_tick(str(heard[3])))
            while not await wait(stop, _PROBE_SECONDS):
                # A connection that a broken network swallowed says nothing by itself.
                await connection.execute("SELECT", timeout=_PROBE_TIMEOUT_SECONDS)
