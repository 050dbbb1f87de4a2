"""Which of an exchange's hosts to ask: the first in the order given that has not failed lately."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.backoff import Backoff
from shared.logging import get_logger

log = get_logger(__name__)

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 300.0


@dataclass
class Host:
    """A base URL, and how it did of late."""

    url: str
    tried_at: float = 0.0
    rests_until: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_REST_SECONDS, LONGEST_REST_SECONDS, jitter=0.0))

    @property
    def is_well(self) -> bool:
        """Whether it has answered since it last failed."""
        return not self.backoff.failures


class Hosts:
    """The hosts in fail-over order. A host that failed rests until a probe finds it well."""

    def __init__(self, urls: Sequence[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hosts = [Host(url) for url in urls]
        self._monotonic = monotonic

    def __len__(self) -> int:
        return len(self._hosts)

    def choose(self) -> Host:
        """Return the first host that is well; with none, the one tried longest ago."""
        host = next((host for host in self._hosts if host.is_well), None)
        host = host or min(self._hosts, key=lambda host: host.tried_at)
        host.tried_at = self._monotonic()
        return host

    def list_due_for_probe(self) -> list[Host]:
        """Return the hosts ahead of the one in use whose rest is over: worth a harmless question."""
        current = next((index for index, host in enumerate(self._hosts) if host.is_well), 0)
        now = self._monotonic()
        return [host for host in self._hosts[:current] if host.rests_until <= now]

    def note_failure(self, host: Host) -> None:
        """Let a host rest, longer each time."""
        host.rests_until = self._monotonic() + host.backoff.next()

    def note_success(self, host: Host) -> None:
        """Trust a host again."""
        if not host.is_well:
            log.info("host_recovered", host=host.url)
        host.backoff.reset()
