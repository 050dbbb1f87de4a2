"""One gate for every request to an exchange: its pauses, its weight budget, and slow probing while no host answers."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from collector.sources.clock import ExchangeClock
from shared.backoff import Backoff
from shared.instant import EPOCH, MINUTE
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

# Others may share the address, and going over costs a ban: history uses half of what is allowed, the live minute more.
HISTORY_SHARE = 0.5
URGENT_SHARE = 0.9
# The HTTP client repeats a request that was reset, so that twice as many may be sent: still fewer than four a second.
SHORTEST_PROBE_SECONDS = 0.6
LONGEST_PROBE_SECONDS = 10.0
# The seconds that we are asked to wait have often been rounded down.
PAUSE_MARGIN_SECONDS = 1.0
SAME_PAUSE_SECONDS = 0.5


class RequestGate:
    """Every task asks `admit` before each request, on any of the exchange's hosts, so that all obey together.

    A request has a weight, and the exchange allows so much weight in each of its minutes.
    """

    def __init__(  # noqa: PLR0913 - whose gate it is, and what it may let through
        self,
        source: str,
        clock: ExchangeClock,
        stop: asyncio.Event,
        *,
        weight_per_minute: int,
        hosts: int = 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._clock = clock
        self._stop = stop
        self._hosts = hosts
        self._monotonic = monotonic
        self._weight_limit = weight_per_minute
        self._weight_used = 0
        self._weight_minute = -1
        self._paused_until = 0.0
        self._probe_at = 0.0
        self._failures = 0
        # Each host is tried once quickly, and then all ever more slowly.
        self._probe_seconds = SHORTEST_PROBE_SECONDS
        self._probe_backoff = Backoff(2 * SHORTEST_PROBE_SECONDS, LONGEST_PROBE_SECONDS)
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
            self._probe_at = self._monotonic() + self._probe_seconds
        self._weight_used += weight

    def pause(self, seconds: float, reason: str) -> None:
        """Send nothing for as long as an answer asks; a shorter pause never shortens a longer one."""
        self.resume_pause(max(seconds, 1.0) + PAUSE_MARGIN_SECONDS, reason)

    def resume_pause(self, seconds: float, reason: str) -> None:
        """Send nothing for exactly so long: the rest of a pause that was asked for before."""
        until = self._monotonic() + seconds
        # What comes back from the database has lost some milliseconds on its way; that is not another pause.
        if until > self._paused_until + SAME_PAUSE_SECONDS:
            self._paused_until = until
            self.pause_reason = reason
            self.pause_changed.set()
            log.warning(
                "exchange_pause", source=self._source, seconds=round(until - self._monotonic(), 1), reason=reason
            )

    def pause_seconds(self) -> float:
        """How long the pause still lasts; 0 without one."""
        return max(0.0, self._paused_until - self._monotonic())

    def note_answer(self, weight_used: int | None = None) -> None:
        """Note an answer, and the weight that its header says is used in the exchange's minute."""
        self._failures = 0
        self._probe_seconds = SHORTEST_PROBE_SECONDS
        self._probe_backoff.reset()
        if weight_used is not None:
            self._roll_minute()
            self._weight_used = weight_used

    def note_failure(self) -> None:
        """Note a request without a usable answer."""
        self._failures += 1
        if self._failures % self._hosts == 0:
            self._probe_seconds = self._probe_backoff.next()
        self._probe_at = max(self._probe_at, self._monotonic() + self._probe_seconds)

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
        return self._time() // MINUTE

    def _seconds_to_next_minute(self) -> float:
        return (MINUTE - self._time() % MINUTE).total_seconds() + 0.05

    def _time(self) -> timedelta:
        """Return the time at the exchange, by whose minutes it counts; before its first answer any will do."""
        return self._clock.now() - EPOCH if self._clock.is_known else timedelta(seconds=self._monotonic())
