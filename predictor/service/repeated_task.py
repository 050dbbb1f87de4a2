"""Work that is done again and again; while Postgres is away it is tried on, and that is logged once."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.errors import DatabaseUnavailableError
from shared.lifecycle import wait
from shared.logging import get_logger

log = get_logger(__name__)


class RepeatedTask:
    """Does its work every `every_seconds`, and at once when it is woken."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], every_seconds: float) -> None:
        self.name = name
        self._every_seconds = every_seconds
        self._work = work
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let the work be done at once, or once more if it is being done now."""
        self._woken.set()

    def set_period(self, every_seconds: float) -> None:
        """Change how often the work is done, from the next pause on."""
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Repeat the work until `stop` is set; the caller that sets it must call `wake` too.

        Only DatabaseUnavailableError is waited out. Any other error ends the task.
        """
        is_away = False
        while not stop.is_set():
            self._woken.clear()
            try:
                await self._work()
            except DatabaseUnavailableError as error:
                if not is_away:
                    log.warning("database_away", task=self.name, reason=str(error))
                is_away = True
            else:
                if is_away:
                    log.info("database_back", task=self.name)
                is_away = False
            if not stop.is_set():
                await wait(self._woken, self._every_seconds)
