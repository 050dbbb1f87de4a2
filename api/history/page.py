"""One page of history: bars, the features of each, and what is missing between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import orjson

from api.catalog import Catalog
from api.cursor import Place, make_foreign_cursor_problem
from api.history.features import FeatureColumns, compute_features, find_inputs
from api.history.fields import make_table
from api.history.parameters import HistoryQuery, Layout
from api.history.queries import BarColumns, BarPage, BarRange, select_bars, select_window
from api.history.view import iterate_texts
from api.intervals import INTERVALS, ONE_MINUTE
from api.paging import PagedRange, PagedRoute
from api.rows import Page
from shared.database.connection import Connection
from shared.gaps import Gap, are_absent, classify, select_absences, select_gaps
from shared.instant import EPOCH, MINUTE, to_text
from shared.runs import Run, Runs

_ROUTE = PagedRoute("history", ("symbol", "interval", "order", "start", "end"))


@dataclass(frozen=True)
class HistoryPage(Page):
    """What was read of `asked`, the bars that were left of the range; `window` are those that features look back on."""

    asked: BarRange
    features: tuple[str, ...]
    layout: Layout
    bars: BarPage
    window: BarColumns
    gaps: Sequence[Gap]

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def is_settled(self) -> bool:
        """Whether the range is fixed, and nothing in it is to be fetched.

        Where it begins with the record only a full page is: on another an earlier beginning of the record would show.
        """
        is_start_fixed = self.paged.is_start_fixed or self.bars.has_more
        return self.paged.is_fixed and is_start_fixed and are_absent(self.gaps)

    @property
    def file_name(self) -> str:
        """The symbol and the interval."""
        return f"{self.asked.symbol}-{self.asked.interval.name}"

    def json(self) -> bytes:
        """Return the answer's JSON."""
        table = make_table(self.features)
        pieces = iterate_texts(self.bars, self._compute_features(), newest_first=self.paged.newest_first)
        head = {
            "symbol": self.asked.symbol,
            "start": to_text(self._start()),
            "end": to_text(self.paged.end),
            "interval": self.asked.interval.name,
            "count": len(self),
        }
        data = table.rows_json(pieces) if self.layout == "rows" else table.columns_json(pieces)
        tail = {
            "next_cursor": self.rest.cursor() if self.rest else None,
            "gaps": [{"start": to_text(gap.start), "end": to_text(gap.end), "cause": gap.cause} for gap in self.gaps],
        }
        return b"".join((orjson.dumps(head)[:-1], b',"data":', data, b",", orjson.dumps(tail)[1:]))

    def csv(self, *, with_header: bool = True) -> bytes:
        """Return the answer's CSV."""
        pieces = iterate_texts(self.bars, self._compute_features(), newest_first=self.paged.newest_first)
        return make_table(self.features).csv(pieces, with_header=with_header)

    async def select_next(self, connection: Connection, limit: int) -> "HistoryPage":
        """Read the page behind this one, without its gaps, which no table shows."""
        if self.rest is None:
            raise ValueError("nothing is left behind the last page")
        left = _behind(self.rest, self.asked)
        return await _select_page(connection, self.rest, left, limit, self.features, self.layout)

    def _compute_features(self) -> FeatureColumns:
        return compute_features(self.window, self.bars, self.asked.interval, self.features)

    def _start(self) -> datetime:
        """Where the range begins: as asked, or with the newest rows, at the first of them."""
        if self.paged.start is not None:
            return self.paged.start
        return self.bars.first_open if len(self) else self.paged.end


async def select_first_page(
    connection: Connection, catalog: Catalog, limit: int, query: HistoryQuery, features: tuple[str, ...]
) -> HistoryPage:
    """Resolve the parameters, and read the page of at most `limit` bars that they ask for; raises ProblemError."""
    paged = _ROUTE.resolve(query, catalog)
    interval = INTERVALS.get(paged.asked.get("interval", ""))
    if interval is None or (paged.place and interval.floor(paged.place.instant) != paged.place.instant):
        raise make_foreign_cursor_problem()
    begins = interval.floor(catalog.begins[paged.symbol])
    if paged.start is None and (paged.newest_first or query.is_table):
        paged = replace(paged, start=begins, is_start_fixed=query.is_table)
    end = interval.ceil(paged.end)
    if interval is not ONE_MINUTE:
        # Every stored minute is closed, but a longer bar may still be growing.
        end = min(end, interval.floor(paged.closed_until))
    whole = BarRange(paged.symbol, interval, begins if paged.start is None else interval.ceil(paged.start), end)
    left = _behind(paged, whole)
    page = await _select_page(connection, paged, left, limit, features, query.layout)
    return replace(page, gaps=await _select_gaps(connection, page))


async def _select_page(  # noqa: PLR0913, PLR0917 - which bars, how many, and what of them
    connection: Connection, paged: PagedRange, left: BarRange, limit: int, features: tuple[str, ...], layout: Layout
) -> HistoryPage:
    inputs = find_inputs(features)
    bars = await select_bars(connection, left, limit, paged.direction, inputs.page)
    window = BarColumns()
    if inputs.window_bars and len(bars):
        end = bars.first_open
        start = end - inputs.window_bars * left.interval.length
        window = await select_window(connection, left._replace(start=start, end=end), inputs.window)
    rest = None
    # Where the newest rows were asked for, these are they.
    if bars.has_more and paged.start is not None:
        after = bars.first_open if paged.newest_first else bars.last_open + left.interval.length
        rest = paged.after(Place(after))
    return HistoryPage(paged, rest, left, features, layout, bars, window, gaps=())


def _behind(rest: PagedRange, bars: BarRange) -> BarRange:
    """Return the bars of what is left of a range."""
    if rest.place is None:
        return bars
    if rest.newest_first:
        return bars._replace(end=min(bars.end, rest.place.instant))
    return bars._replace(start=max(bars.start, rest.place.instant))


async def _select_gaps(connection: Connection, page: HistoryPage) -> list[Gap]:
    """Read what is missing from what a page covers."""
    asked, bars = page.asked, page.bars
    covered = _covered(page)
    present = len(bars) if bars.counts is None else int(bars.counts.sum())
    if present >= covered.minutes:
        return []
    if asked.interval is not ONE_MINUTE:
        return await select_gaps(connection, asked.symbol, *covered)
    missing = Runs([covered]) - _present(bars)
    return classify(missing, await select_absences(connection, asked.symbol, *covered))


def _covered(page: HistoryPage) -> Run:
    """Return the minutes that a page answers for: up to its last row, or to the range's end where that is reached.

    What is not past is not missing yet.
    """
    paged, asked, bars = page.paged, page.asked, page.bars
    has_rows = len(bars) > 0
    end = min(asked.end, max(paged.record_until, bars.last_open + MINUTE) if has_rows else paged.record_until)
    if not bars.has_more and paged.start is not None:
        return Run(asked.start, max(asked.start, end))
    if paged.newest_first or paged.start is None:
        return Run(bars.first_open if has_rows else end, end)
    return Run(asked.start, bars.last_open + asked.interval.length)


def _present(bars: BarPage) -> Runs:
    """Return the minutes that a page of minutes has."""
    if not len(bars):
        return Runs()
    minutes = bars.opened_at.astype("datetime64[m]").astype(np.int64)
    breaks = np.flatnonzero(np.diff(minutes) != 1)
    firsts = minutes[np.concatenate(([0], breaks + 1))]
    lasts = minutes[np.concatenate((breaks, [len(minutes) - 1]))]
    return Runs(
        Run(EPOCH + first * MINUTE, EPOCH + (last + 1) * MINUTE)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    )
