"""One page of gaps: some whole days, and what is missing from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.catalog import Catalog
from api.cursor import Place
from api.gaps.parameters import GapsQuery
from api.intervals import ONE_DAY, ONE_MINUTE
from api.paging import PagedRange, PagedRoute
from shared.database.connection import Connection
from shared.gaps import Gap, are_absent, join_neighbours, select_gaps
from shared.instant import DAY
from shared.runs import Run

_ROUTE = PagedRoute("gaps", ("symbol", "start", "end"))
# A page ends at the first day's end behind so many gaps, and is read in steps of so many days.
MAX_GAPS = 10_000
_STEP = 366 * DAY


@dataclass(frozen=True)
class GapsPage:
    """The gaps in the minutes that the page covers."""

    paged: PagedRange
    covered: Run
    gaps: Sequence[Gap]

    @property
    def is_settled(self) -> bool:
        """Whether the range is fixed, and nothing in it is to be fetched."""
        return self.paged.is_fixed and are_absent(self.gaps)

    @property
    def rest(self) -> PagedRange | None:
        """What is left of the range behind the page; None at the end."""
        end = self.covered.end
        return self.paged.after(Place(end)) if end < self.paged.end else None


async def select_gaps_page(connection: Connection, catalog: Catalog, query: GapsQuery) -> GapsPage:
    """Resolve the parameters, and read the page of at most `limit` days that they ask for; raises ProblemError."""
    paged = _ROUTE.resolve(query, catalog)
    until = paged.record_until
    if paged.place is None:
        paged = _on_minutes(paged, query, catalog)
    covered = _left(paged)
    last = min(covered.end, ONE_DAY.floor(covered.start) + query.limit * DAY)
    gaps: list[Gap] = []
    start = covered.start
    while start < min(last, until) and len(gaps) < MAX_GAPS:
        end = min(last, until, start + _STEP)
        gaps = join_neighbours([*gaps, *await select_gaps(connection, paged.symbol, start, end)])
        start = end
    if len(gaps) >= MAX_GAPS:
        last = min(last, ONE_DAY.ceil(gaps[MAX_GAPS - 1].end))
        gaps = [gap._replace(end=min(gap.end, last)) for gap in gaps if gap.start < last]
    return GapsPage(paged, Run(covered.start, last), gaps)


def _on_minutes(paged: PagedRange, query: GapsQuery, catalog: Catalog) -> PagedRange:
    """Return the range on whole minutes: without a start from the record's first, without an end to its last."""
    end = min(paged.end, paged.record_until) if query.end is None else paged.end
    start = min(catalog.begins[paged.symbol], end) if paged.start is None else paged.start
    start = ONE_MINUTE.ceil(start)
    return replace(paged, start=start, end=max(start, ONE_MINUTE.ceil(end)))


def _left(paged: PagedRange) -> Run:
    """Return the minutes of a range that are still to be looked through."""
    start = paged.end if paged.start is None else paged.start
    if paged.place is not None:
        start = min(max(start, paged.place.instant), paged.end)
    return Run(start, paged.end)
