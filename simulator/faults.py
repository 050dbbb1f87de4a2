"""The faults that stand now: added and removed while the simulator runs, and used up as they strike."""

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from simulator.fault import Fault, parse_fault


@dataclass
class _Standing:
    fault: Fault
    until_seconds: float | None
    seen: int = 0

    def is_over(self, now_seconds: float) -> bool:
        used = self.fault.count is not None and self.seen >= self.fault.skip + self.fault.count
        return used or (self.until_seconds is not None and now_seconds >= self.until_seconds)


class Faults:
    """The faults that stand now. Which ones strike by chance is decided by the seed."""

    def __init__(
        self, faults: Iterable[Fault | str] = (), seed: int = 7, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._standing: dict[int, _Standing] = {}
        self._next = 1
        self.random = random.Random(seed)  # noqa: S311 - chance for tests, not for secrets
        self._seconds = seconds
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault | str) -> int:
        """Let a fault stand, given as such or as text; returns its number, for `remove`."""
        fault = parse_fault(fault) if isinstance(fault, str) else fault
        number, self._next = self._next, self._next + 1
        until = None if fault.for_seconds is None else self._seconds() + fault.for_seconds
        self._standing[number] = _Standing(fault, until)
        return number

    def remove(self, number: int) -> bool:
        """End a fault; False when there is none of that number."""
        return self._standing.pop(number, None) is not None

    def clear(self) -> None:
        """End all faults."""
        self._standing.clear()

    def standing(self, *kinds: str) -> list[Fault]:
        """The faults of these kinds (without any: all) that are not over; nothing is used up."""
        return [standing.fault for standing in self._live() if not kinds or standing.fault.kind in kinds]

    def describe(self) -> list[dict[str, object]]:
        """Every fault that is not over, with its number and how often it was met."""
        live = {id(standing) for standing in self._live()}
        return [
            {"id": number, **standing.fault.as_json(), "met": standing.seen}
            for number, standing in self._standing.items()
            if id(standing) in live
        ]

    def strike(self, kinds: Collection[str], matches: Callable[[Fault], bool]) -> Fault | None:
        """The first fault of these kinds that strikes what `matches` says it concerns; it is used once by it."""
        for standing in self._live():
            fault = standing.fault
            if fault.kind not in kinds or not matches(fault):
                continue
            if fault.probability < 1 and self.random.random() >= fault.probability:
                continue
            standing.seen += 1
            if standing.seen > fault.skip:
                return fault
        return None

    def strike_request(self, kinds: Collection[str], path: str, host: str) -> Fault | None:
        """The fault that strikes a request."""
        return self.strike(kinds, lambda fault: fault.concerns(path, host))

    def strike_minute(self, kinds: Collection[str], symbol: str, minute_ms: int) -> Fault | None:
        """The fault that strikes a frame about a minute."""
        return self.strike(kinds, lambda fault: fault.covers(symbol, minute_ms))

    def _live(self) -> list[_Standing]:
        now = self._seconds()
        self._standing = {number: item for number, item in self._standing.items() if not item.is_over(now)}
        return list(self._standing.values())
