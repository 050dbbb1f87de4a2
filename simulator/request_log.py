"""Every request that came in, kept so that a test can prove what was sent and what was not."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

ENTRIES_KEPT = 50_000


@dataclass(slots=True)
class Entry:
    """One request; `status` stays None when no answer began, and `fault` names what was done to it on purpose."""

    number: int
    at: float  # seconds since 1970, the machine's
    monotonic: float  # seconds of the machine's steady clock
    client: str
    host: str  # as the client addressed it, with the port
    method: str
    path: str
    query: str
    status: int | None = None
    fault: str | None = None
    weight: int = 0

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


class RequestLog:
    """The newest requests, oldest first; bounded."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=ENTRIES_KEPT)
        self._count = 0

    def open(self, *, client: str, host: str, method: str, path: str, query: str) -> Entry:
        """Note a request as it arrives; its status is filled in later."""
        self._count += 1
        entry = Entry(self._count, time.time(), time.monotonic(), client, host, method, path, query)
        self.entries.append(entry)
        return entry

    def since(self, number: int = 0, path: str = "") -> list[Entry]:
        """Entries after a number, of paths that begin so."""
        return [entry for entry in self.entries if entry.number > number and entry.path.startswith(path)]

    def clear(self) -> None:
        """Forget the entries; numbers go on."""
        self.entries.clear()
