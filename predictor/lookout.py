"""Looking again and again: when woken, and after a while in any case; Postgres's absence is said once and outlasted."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.errors import DatabaseUnavailableError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)


class Lookout:
    """Calls `look` until the service stops, and waits `every_seconds` in between, which may be changed meanwhile."""

    def __init__(self, name: str, look: Callable[[], Awaitable[None]], every_seconds: float) -> None:
        self.name = name
        self.every_seconds = every_seconds
        self._look = look
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once, or once more if it is looking now."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; whoever sets that calls `wake` too."""
        is_away = False
        while not stop.is_set():
            self._woken.clear()
            try:
                await self._look()
            except DatabaseUnavailableError as error:
                if not is_away:
                    log.warning("database_away", task=self.name, reason=str(error))
                is_away = True
            else:
                if is_away:
                    log.info("database_back", task=self.name)
                is_away = False
            if not stop.is_set():
                await wait(self._woken, self.every_seconds)
