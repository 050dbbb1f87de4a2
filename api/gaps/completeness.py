"""How many minutes of a day are there, out of those that are past."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.intervals import ONE_DAY
from shared.gaps import Gap
from shared.instant import DAY, MINUTE
from shared.runs import Run


@dataclass(frozen=True)
class Completeness:
    """`count` minutes out of `expected`."""

    count: int
    expected: int

    @property
    def share(self) -> float | None:
        """The count over the expected; None where nothing is."""
        return self.count / self.expected if self.expected else None

    @classmethod
    def of(cls, days: Mapping[datetime, "Completeness"]) -> "Completeness":
        """All days together."""
        return cls(sum(day.count for day in days.values()), sum(day.expected for day in days.values()))


def count_by_day(span: Run, gaps: Iterable[Gap], until: datetime) -> dict[datetime, Completeness]:
    """Return the completeness of each day that `span` touches, its gaps given; what lies beyond `until` is not past."""
    end = min(span.end, until)
    missing: dict[datetime, int] = {}
    for gap in gaps:
        for day, run in _split_by_day(gap.start, gap.end):
            missing[day] = missing.get(day, 0) + run // MINUTE
    return {
        day: Completeness(run // MINUTE - missing.get(day, 0), run // MINUTE)
        for day, run in _split_by_day(span.start, end)
    }


def _split_by_day(start: datetime, end: datetime) -> Iterable[tuple[datetime, timedelta]]:
    while start < end:
        day = ONE_DAY.floor(start)
        stop = min(end, day + DAY)
        yield day, stop - start
        start = stop
