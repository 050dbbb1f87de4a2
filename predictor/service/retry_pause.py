"""How long a symbol's training waits after it failed, and until when."""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.backoff import Backoff
from shared.instant import utc_now

FIRST_SECONDS = 30.0
LONGEST_SECONDS = 1800.0


class RetryPause:
    """The pause before a failed training is tried again; each failure makes it longer, up to half an hour."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS, draw=draw)
        self._until = 0.0
        self.until: datetime | None = None
        """When the training is tried again; None without a failure."""

    @property
    def seconds(self) -> float:
        """How long the pause still lasts."""
        return max(0.0, self._until - time.monotonic())

    def begin(self) -> float:
        """Begin the pause after a failure, and return its length in seconds."""
        pause = self._backoff.next()
        self._until = time.monotonic() + pause
        self.until = utc_now().replace(microsecond=0) + timedelta(seconds=pause)
        return pause

    def reset(self) -> None:
        """End the pause after a success; the next one is short again."""
        self._backoff.reset()
        self._until, self.until = 0.0, None
