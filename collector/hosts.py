"""Which of the exchange's hosts to ask: the first in the order given that has not failed lately."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.logging import get_logger

log = get_logger(__name__)

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 300.0


@dataclass
class Host:
    """A base URL, and how it did of late."""

    url: str
    failures: int = 0
    tried_at: float = 0.0
    rests_until: float = 0.0


class Hosts:
    """The hosts in fail-over order. A host that failed rests until a probe finds it well."""

    def __init__(self, urls: Sequence[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hosts = [Host(url) for url in urls]
        self._monotonic = monotonic

    def __len__(self) -> int:
        return len(self._hosts)

    def choose(self) -> Host:
        """Return the first host that is well; with none, the one tried longest ago."""
        host = next((host for host in self._hosts if not host.failures), None)
        host = host or min(self._hosts, key=lambda host: host.tried_at)
        host.tried_at = self._monotonic()
        return host

    def due_for_probe(self) -> list[Host]:
        """Return the hosts ahead of the one in use whose rest is over: worth a harmless question."""
        current = next((index for index, host in enumerate(self._hosts) if not host.failures), 0)
        now = self._monotonic()
        return [host for host in self._hosts[:current] if host.rests_until <= now]

    def failed(self, host: Host) -> None:
        """Let a host rest, longer each time."""
        host.failures += 1
        rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0 ** min(host.failures - 1, 10))
        host.rests_until = self._monotonic() + rest

    def succeeded(self, host: Host) -> None:
        """Trust a host again."""
        if host.failures:
            log.info("host_recovered", host=host.url)
        host.failures = 0
