"""How long to pause before trying again: twice as long after each failure, up to a bound, with jitter."""

import random
from collections.abc import Callable


class Backoff:
    """The pauses of one thing that is tried again and again.

    The first pause is at most `first_seconds` long, each next one twice as long, and none is longer than
    `longest_seconds`. Jitter takes up to that share off a pause, so that many who failed at once do not all come back
    at once.
    """

    def __init__(
        self,
        first_seconds: float,
        longest_seconds: float,
        jitter: float = 0.5,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not 0 < first_seconds <= longest_seconds or not 0 <= jitter < 1:
            raise ValueError("a backoff needs 0 < first_seconds <= longest_seconds and 0 <= jitter < 1")
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._jitter = jitter
        self._draw = draw
        self._next_seconds = first_seconds
        self.failures = 0
        """How many pauses there were since the last reset."""

    def next(self) -> float:
        """Count a failure and return the seconds to pause after it."""
        self.failures += 1
        pause = self._next_seconds
        # By doubling what is already bounded, so that no number of failures overflows.
        self._next_seconds = min(self._longest_seconds, 2.0 * pause)
        return pause * (1.0 - self._jitter * self._draw())

    def reset(self) -> None:
        """Begin small again, after a success."""
        self._next_seconds = self._first_seconds
        self.failures = 0
