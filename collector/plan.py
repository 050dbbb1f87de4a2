"""Which parts of the record's holes are fetched next: newest first, each one file or one page."""

from collections.abc import Callable
from datetime import datetime

from collector.sources.source import Part
from shared.runs import Run, Runs


class Plan:
    """Hands out the parts of some holes; `choose_part` says which part of a hole is next, and its origin."""

    def __init__(self, holes: Runs, choose_part: Callable[[Run], Part]) -> None:
        self._holes = list(holes)
        self._choose_part = choose_part

    def next(self) -> Part | None:
        """Return the next part; None when all are handed out."""
        if not self._holes:
            return None
        hole = self._holes.pop()
        part = self._choose_part(hole)
        if part.minutes.start > hole.start:
            self._holes.append(Run(hole.start, part.minutes.start))
        return part

    def reaches_before(self, end: datetime) -> bool:
        """Whether anything older than `end` is still to be handed out."""
        return any(hole.start < end for hole in self._holes)

    def withdraw(self, start: datetime, end: datetime) -> Runs:
        """Hand out nothing of [start, end) any more, and return what of it was still to be handed out."""
        holes, withdrawn = Runs(self._holes), Runs([Run(start, end)])
        self._holes = list(holes - withdrawn)
        return holes & withdrawn
