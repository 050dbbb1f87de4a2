"""Logs every request, so that a test can prove which requests were sent and which were not."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

ENTRIES_KEPT = 50_000


@dataclass(slots=True)
class Entry:
    """One request; `status` is None when no answer began, and `fault` is the kind of fault that was applied."""

    number: int
    at: float  # real time, seconds since 1970
    monotonic: float  # seconds of the monotonic clock
    client: str
    host: str  # as the client addressed it, with the port
    method: str
    path: str
    query: str
    status: int | None = None
    fault: str | None = None
    weight: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


class RequestLog:
    """The newest requests, oldest first, at most `ENTRIES_KEPT`."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=ENTRIES_KEPT)
        self._count = 0

    def open(self, *, client: str, host: str, method: str, path: str, query: str) -> Entry:
        """Log a request as it arrives; its status is set later."""
        self._count += 1
        entry = Entry(self._count, time.time(), time.monotonic(), client, host, method, path, query)
        self.entries.append(entry)
        return entry

    def since(self, number: int = 0, path: str = "") -> list[Entry]:
        """Return the entries after a number whose path begins with `path`."""
        return [entry for entry in self.entries if entry.number > number and entry.path.startswith(path)]

    def clear(self) -> None:
        """Remove the entries; numbers continue."""
        self.entries.clear()
