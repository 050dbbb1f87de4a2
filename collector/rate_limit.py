"""One gate for every request to the exchange: its pauses, its weight budget, and slow probing while no host answers."""

import asyncio
import math
import random
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from collector.clock import ExchangeClock
from shared.instant import utc_now
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

DEFAULT_WEIGHT_PER_MINUTE = 1200
# Others may share the address, and going over costs a ban: history uses half of what is allowed, the live minute more.
HISTORY_SHARE = 0.5
URGENT_SHARE = 0.9
# The HTTP client may send a request that was reset once more by itself; so, at twice this rate, four a second.
SHORTEST_PROBE_SECONDS = 0.6
LONGEST_PROBE_SECONDS = 10.0
# "Come back in n seconds" is rounded down somewhere on the way as often as not.
PAUSE_MARGIN_SECONDS = 1.0
SAME_PAUSE_SECONDS = 0.5
# Bans last three days at most.
LONGEST_PAUSE_SECONDS = 7 * 86_400.0
_BANNED_UNTIL = re.compile(r"banned until (\d{1,15})\b", re.ASCII)


class RequestGate:
    """Every task asks `admit` before each request, on any host, so that all obey together."""

    def __init__(
        self, clock: ExchangeClock, stop: asyncio.Event, hosts: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._hosts = hosts
        self._monotonic = monotonic
        self._weight_limit = DEFAULT_WEIGHT_PER_MINUTE
        self._weight_used = 0
        self._weight_minute = -1
        self._paused_until = 0.0
        self._probe_at = 0.0
        self._failures = 0
        self.pause_reason = ""
        self.pause_changed = asyncio.Event()

    @property
    def is_failing(self) -> bool:
        """Whether the last request got no usable answer."""
        return self._failures > 0

    @property
    def weight_used(self) -> int:
        """Weight used in the exchange's current minute, as far as we know."""
        return self._weight_used

    def set_weight_limit(self, weight_per_minute: int) -> None:
        """Take the limit that the exchange states."""
        self._weight_limit = max(1, weight_per_minute)

    async def admit(self, weight: int, *, urgent: bool = False) -> None:
        """Wait until a request of this weight may be sent; raises Stopping when the service stops first."""
        while (delay := self._delay_seconds(weight, URGENT_SHARE if urgent else HISTORY_SHARE)) > 0:
            # Not longer than a second at once: a pause can be extended, or lifted by a success, while we wait.
            if await wait(self._stop, min(delay, 1.0)):
                raise Stopping
        if self._stop.is_set():
            raise Stopping
        if self.is_failing:
            self._probe_at = self._monotonic() + self._probe_pause_seconds()
        self._weight_used += weight

    def pause(self, seconds: float, reason: str) -> None:
        """Send nothing for as long as an answer asks; a shorter pause never shortens a longer one."""
        self.go_on_pausing(max(seconds, 1.0) + PAUSE_MARGIN_SECONDS, reason)

    def go_on_pausing(self, seconds: float, reason: str) -> None:
        """Send nothing for exactly so long: the rest of a pause that was asked for before."""
        until = self._monotonic() + seconds
        # What comes back from the database has lost some milliseconds on its way; that is not another pause.
        if until > self._paused_until + SAME_PAUSE_SECONDS:
            self._paused_until = until
            self.pause_reason = reason
            self.pause_changed.set()
            log.warning("exchange_pause", seconds=round(until - self._monotonic(), 1), reason=reason)

    def pause_seconds(self) -> float:
        """How long the pause still lasts; 0 without one."""
        return max(0.0, self._paused_until - self._monotonic())

    def answered(self, weight_used: int | None) -> None:
        """Note an answer, and the weight that its header says is used in the exchange's minute."""
        self._failures = 0
        if weight_used is not None:
            self._roll_minute()
            self._weight_used = weight_used

    def failed(self) -> None:
        """Note a request without a usable answer."""
        self._failures += 1
        self._probe_at = max(self._probe_at, self._monotonic() + self._probe_pause_seconds())

    def _delay_seconds(self, weight: int, share: float) -> float:
        now = self._monotonic()
        delay = self._paused_until - now
        if self.is_failing:
            delay = max(delay, self._probe_at - now)
        if delay > 0:
            return delay
        self._roll_minute()
        # A request heavier than the whole share must still pass in a fresh minute; one without weight always does.
        if weight and self._weight_used and self._weight_used + weight > share * self._weight_limit:
            return self._seconds_to_next_minute()
        return 0.0

    def _roll_minute(self) -> None:
        minute = self._minute()
        if minute != self._weight_minute:
            self._weight_minute = minute
            self._weight_used = 0

    def _minute(self) -> int:
        # The exchange counts by its own minutes; ahead of its first answer any minute will do.
        return self._clock.now_ms() // 60_000 if self._clock.is_known else int(self._monotonic() // 60)

    def _seconds_to_next_minute(self) -> float:
        now_ms = self._clock.now_ms() if self._clock.is_known else int(self._monotonic() * 1000)
        return (60_000 - now_ms % 60_000) / 1000.0 + 0.05

    def _probe_pause_seconds(self) -> float:
        """Try each host once quickly, then ever more slowly, with jitter so that collectors do not march in step."""
        rounds = self._failures // self._hosts
        longest = min(LONGEST_PROBE_SECONDS, SHORTEST_PROBE_SECONDS * 2.0 ** min(rounds, 10))
        return max(SHORTEST_PROBE_SECONDS, longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def pause_from_answer(status: int, retry_after: str | None, message: str, now_ms: int | None) -> float:
    """Return how many seconds a 429 or 418 asks us to stay away.

    The longest of the header `Retry-After` (seconds) and the body's "banned until <ms>" (by the exchange's clock,
    `now_ms` where it is known); without either a minute after a 429 and, since bans begin at two minutes, two after
    a 418; never more than a week.
    """
    asked = []
    if retry_after is not None:
        asked.append(_seconds(retry_after))
    banned_until = _BANNED_UNTIL.search(message)
    if banned_until:
        reference_ms = now_ms if now_ms is not None else int(utc_now().timestamp() * 1000)
        asked.append((int(banned_until[1]) - reference_ms) / 1000.0)
    # What has passed already was counted by another clock, and says nothing.
    longest = max((seconds for seconds in asked if seconds > 0), default=60.0 if status == 429 else 120.0)
    return min(longest, LONGEST_PAUSE_SECONDS)


def _seconds(retry_after: str) -> float:
    """Read the header, a number of seconds or a date (RFC 9110), as seconds; 120 where it is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - utc_now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 120.0
        # A date that is past says more of our clock than of the pause.
        seconds = seconds if seconds > 0 else 120.0
    return seconds if math.isfinite(seconds) else 120.0
