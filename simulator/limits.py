"""Applies the exchange's request limits: weight in a minute, and number of requests in five minutes.

A request beyond a limit is answered with 429 until the window ends. A client that keeps sending is banned (418), first
for `ban_seconds`, then for twice as long each time, at most three days. Windows count real time, whatever the
simulated clock shows, since the requests are real.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_BAN_SECONDS = 3 * 86_400.0


@dataclass(frozen=True)
class Limits:
    """How much a client may send, and how it is banned."""

    weight_a_minute: int = 6_000
    requests_in_five_minutes: int = 300_000
    refusals_before_ban: int = 5
    ban_seconds: float = 120.0


@dataclass(frozen=True)
class Refusal:
    """A refusal with status 429 or 418, and for how many seconds it holds."""

    status: int
    seconds: float
    of_weight: bool = True  # False: of the number of requests

    @property
    def retry_after(self) -> int:
        """The seconds rounded up to a whole number, at least 1."""
        return max(math.ceil(self.seconds), 1)


class Limiter:
    """Counts weight and requests; `seconds` gives the real time in seconds since 1970."""

    def __init__(self, limits: Limits, seconds: Callable[[], float] = time.time) -> None:
        self.limits = limits
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Reset all counts, and end refusals and bans."""
        self._minute = self._five_minutes = 0
        self._weight = self._requests = 0
        self._refused_until = self._banned_until = 0.0
        self._refused_of_weight = True
        self._refusals = self._bans = 0

    @property
    def used_weight(self) -> int:
        """The weight used in the current minute."""
        self._start_windows()
        return self._weight

    def admit(self, weight: int) -> Refusal | None:
        """Count a request of this weight; returns a refusal, or None when the request may be served."""
        now = self._seconds()
        self._start_windows()
        self._weight += weight
        self._requests += 1
        if now < self._banned_until or now < self._refused_until:
            return self._refuse_again(now)
        if self._weight > self.limits.weight_a_minute:
            return self.refuse((self._minute + 1) * 60 - now)
        if self._requests > self.limits.requests_in_five_minutes:
            return self.refuse((self._five_minutes + 1) * 300 - now, of_weight=False)
        return None

    def refuse(self, seconds: float, *, of_weight: bool = True) -> Refusal:
        """Refuse all requests with 429 for `seconds` from now."""
        self._refused_until = self._seconds() + seconds
        self._refused_of_weight = of_weight
        self._refusals = 1
        return Refusal(429, seconds, of_weight)

    def ban(self, seconds: float) -> Refusal:
        """Refuse all requests with 418 for `seconds` from now."""
        self._banned_until = self._seconds() + seconds
        self._refusals = 0
        return Refusal(418, seconds)

    def _refuse_again(self, now: float) -> Refusal:
        """Refuse a request that was sent during a refusal; after too many of them ban the client."""
        self._refusals += 1
        if self._refusals > self.limits.refusals_before_ban:
            seconds = min(self.limits.ban_seconds * 2**self._bans, LONGEST_BAN_SECONDS)
            self._bans += 1
            return self.ban(max(seconds, self._banned_until - now))
        if now < self._banned_until:
            return Refusal(418, self._banned_until - now)
        return Refusal(429, self._refused_until - now, self._refused_of_weight)

    def _start_windows(self) -> None:
        minute, five_minutes = int(self._seconds() // 60), int(self._seconds() // 300)
        if minute != self._minute:
            self._minute, self._weight = minute, 0
        if five_minutes != self._five_minutes:
            self._five_minutes, self._requests = five_minutes, 0
