"""The active faults: they are added and removed while the simulator runs, and used up as they are applied."""

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from simulator.fault import Fault, parse_fault


@dataclass
class _ActiveFault:
    fault: Fault
    until_seconds: float | None
    seen: int = 0

    def is_over(self, now_seconds: float) -> bool:
        used = self.fault.count is not None and self.seen >= self.fault.skip + self.fault.count
        return used or (self.until_seconds is not None and now_seconds >= self.until_seconds)


class Faults:
    """The active faults; `seed` decides which of those with a probability are applied."""

    def __init__(
        self, faults: Iterable[Fault | str] = (), seed: int = 7, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._standing: dict[int, _ActiveFault] = {}
        self._next = 1
        self.random = random.Random(seed)  # noqa: S311 - chance for tests, not for secrets
        self._seconds = seconds
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault | str) -> int:
        """Activate a fault, which may be given as text; returns its number, for `remove`."""
        fault = parse_fault(fault) if isinstance(fault, str) else fault
        number, self._next = self._next, self._next + 1
        until = None if fault.for_seconds is None else self._seconds() + fault.for_seconds
        self._standing[number] = _ActiveFault(fault, until)
        return number

    def remove(self, number: int) -> bool:
        """End a fault; False when there is none of that number."""
        return self._standing.pop(number, None) is not None

    def clear(self) -> None:
        """End all faults."""
        self._standing.clear()

    def standing(self, *kinds: str) -> list[Fault]:
        """Return the active faults of these kinds, or of all kinds when none is given; does not use them up."""
        return [item.fault for item in self._list_active() if not kinds or item.fault.kind in kinds]

    def describe(self) -> list[dict[str, object]]:
        """Return every active fault as JSON, with its number and how often it was met."""
        active = {id(item) for item in self._list_active()}
        return [
            {"id": number, **item.fault.as_json(), "met": item.seen}
            for number, item in self._standing.items()
            if id(item) in active
        ]

    def strike(self, kinds: Collection[str], matches: Callable[[Fault], bool]) -> Fault | None:
        """Return the first active fault of these kinds that `matches` accepts and chance applies, and count its use."""
        for item in self._list_active():
            fault = item.fault
            if fault.kind not in kinds or not matches(fault):
                continue
            if fault.probability < 1 and self.random.random() >= fault.probability:
                continue
            item.seen += 1
            if item.seen > fault.skip:
                return fault
        return None

    def strike_request(self, kinds: Collection[str], path: str, host: str) -> Fault | None:
        """Return the fault to apply to a request, and count its use."""
        return self.strike(kinds, lambda fault: fault.concerns(path, host))

    def strike_minute(self, kinds: Collection[str], symbol: str, minute_ms: int) -> Fault | None:
        """Return the fault to apply to a frame about a minute, and count its use."""
        return self.strike(kinds, lambda fault: fault.covers(symbol, minute_ms))

    def _list_active(self) -> list[_ActiveFault]:
        now = self._seconds()
        self._standing = {number: item for number, item in self._standing.items() if not item.is_over(now)}
        return list(self._standing.values())
