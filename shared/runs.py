"""Sets of minutes, kept as runs: `Run` is one unbroken stretch, `Runs` an immutable set of any minutes.

A record of years has millions of minutes but few stretches, so sets are computed from the ends of their runs alone.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from shared.instant import MINUTE


class Run(NamedTuple):
    """The minutes [start, end); both are whole minutes in UTC."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> int:
        """How many minutes the run has."""
        return (self.end - self.start) // MINUTE


class Runs:
    """An immutable set of minutes with `-`, `&` and `|`; iterating yields its runs, oldest first.

    The runs are sorted and never touch or overlap: each is as long as it can be. `len` counts runs, not minutes.
    """

    __slots__ = ("_runs",)

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        """Take the minutes of `runs`, which may come in any order, touch, overlap or be empty."""
        self._runs = _join(sorted(runs))

    @classmethod
    def of_minutes(cls, minutes: Iterable[datetime]) -> "Runs":
        """Return the set of the minutes that open at these instants."""
        return cls(Run(minute, minute + MINUTE) for minute in minutes)

    @property
    def minutes(self) -> int:
        """How many minutes the set has."""
        return sum(run.minutes for run in self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __eq__(self, other: object) -> bool:
        return self._runs == other._runs if isinstance(other, Runs) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._runs)

    def __repr__(self) -> str:
        spans = ", ".join(f"{run.start:%Y-%m-%d %H:%M} to {run.end:%Y-%m-%d %H:%M}" for run in self._runs)
        return f"<Runs: {spans or 'none'}>"

    def __sub__(self, other: "Runs") -> "Runs":
        """Return the minutes that are not in `other`."""
        return _make(tuple(_subtract(self._runs, other._runs)))

    def __and__(self, other: "Runs") -> "Runs":
        """Return the minutes that are in both."""
        return _make(tuple(_intersect(self._runs, other._runs)))

    def __or__(self, other: "Runs") -> "Runs":
        """Return the minutes that are in either."""
        return Runs((*self._runs, *other._runs))


def _make(runs: tuple[Run, ...]) -> Runs:
    """Return a set of runs that are sorted and joined already."""
    made = Runs()
    made._runs = runs
    return made


def _join(ordered: list[Run]) -> tuple[Run, ...]:
    joined: list[Run] = []
    for run in ordered:
        if run.start >= run.end:
            continue
        if joined and joined[-1].end >= run.start:
            if joined[-1].end < run.end:
                joined[-1] = Run(joined[-1].start, run.end)
        else:
            joined.append(run)
    return tuple(joined)


def _subtract(runs: tuple[Run, ...], taken: tuple[Run, ...]) -> Iterator[Run]:
    first = 0
    for run in runs:
        start = run.start
        while first < len(taken) and taken[first].end <= start:
            first += 1
        index = first
        while index < len(taken) and taken[index].start < run.end:
            if taken[index].start > start:
                yield Run(start, taken[index].start)
            start = taken[index].end
            index += 1
        if start < run.end:
            yield Run(start, run.end)


def _intersect(ours: tuple[Run, ...], theirs: tuple[Run, ...]) -> Iterator[Run]:
    i = j = 0
    while i < len(ours) and j < len(theirs):
        start, end = max(ours[i].start, theirs[j].start), min(ours[i].end, theirs[j].end)
        if start < end:
            yield Run(start, end)
        if ours[i].end < theirs[j].end:
            i += 1
        else:
            j += 1
