"""The exchange's request limits: weight by minute, requests by five minutes, and what follows when they are broken.

Beyond a limit a request is answered 429 until the window ends. Whoever goes on sending is banned (418), first for
`ban_seconds`, then for twice as long each time, at most three days. Windows are the machine's, whatever the exchange's
clock says: they protect against real requests.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_BAN_SECONDS = 3 * 86_400.0


@dataclass(frozen=True)
class Limits:
    """What a client may do."""

    weight_a_minute: int = 6_000
    requests_in_five_minutes: int = 300_000
    refusals_before_ban: int = 5
    ban_seconds: float = 120.0


@dataclass(frozen=True)
class Refusal:
    """An answer instead of data: 429 or 418, and for how long."""

    status: int
    seconds: float
    of_weight: bool = True  # else of the count of requests

    @property
    def retry_after(self) -> int:
        """Whole seconds, never too few."""
        return max(math.ceil(self.seconds), 1)


class Limiter:
    """Counts what was asked. `seconds` is the machine's time since 1970."""

    def __init__(self, limits: Limits, seconds: Callable[[], float] = time.time) -> None:
        self.limits = limits
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Forget everything, bans included."""
        self._minute = self._five_minutes = 0
        self._weight = self._requests = 0
        self._refused_until = self._banned_until = 0.0
        self._refused_of_weight = True
        self._refusals = self._bans = 0

    @property
    def used_weight(self) -> int:
        """Weight used in the minute that runs."""
        self._roll()
        return self._weight

    def admit(self, weight: int) -> Refusal | None:
        """Count a request of this weight; returns the refusal to answer, or None when it may be served."""
        now = self._seconds()
        self._roll()
        self._weight += weight
        self._requests += 1
        if now < self._banned_until or now < self._refused_until:
            return self._again(now)
        if self._weight > self.limits.weight_a_minute:
            return self.refuse((self._minute + 1) * 60 - now)
        if self._requests > self.limits.requests_in_five_minutes:
            return self.refuse((self._five_minutes + 1) * 300 - now, of_weight=False)
        return None

    def refuse(self, seconds: float, *, of_weight: bool = True) -> Refusal:
        """Refuse requests for so long from now."""
        self._refused_until = self._seconds() + seconds
        self._refused_of_weight = of_weight
        self._refusals = 1
        return Refusal(429, seconds, of_weight)

    def ban(self, seconds: float) -> Refusal:
        """Ban for so long from now."""
        self._banned_until = self._seconds() + seconds
        self._refusals = 0
        return Refusal(418, seconds)

    def _again(self, now: float) -> Refusal:
        """The answer to a request that should not have been sent."""
        self._refusals += 1
        if self._refusals > self.limits.refusals_before_ban:
            seconds = min(self.limits.ban_seconds * 2**self._bans, LONGEST_BAN_SECONDS)
            self._bans += 1
            return self.ban(max(seconds, self._banned_until - now))
        if now < self._banned_until:
            return Refusal(418, self._banned_until - now)
        return Refusal(429, self._refused_until - now, self._refused_of_weight)

    def _roll(self) -> None:
        minute, five_minutes = int(self._seconds() // 60), int(self._seconds() // 300)
        if minute != self._minute:
            self._minute, self._weight = minute, 0
        if five_minutes != self._five_minutes:
            self._five_minutes, self._requests = five_minutes, 0
