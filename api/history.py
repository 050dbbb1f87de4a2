"""One page of history: bars, the features of each, and what is missing between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from api.bars import BarColumns, BarPage, BarRange, select_page, select_window
from api.features import FeatureColumns, compute_features, needs_of
from api.intervals import ONE_MINUTE
from api.walk import Walk, first_open
from shared.database.driver import Connection
from shared.gaps import Gap, are_absent, classify, select_absences, select_gaps
from shared.instant import EPOCH, MINUTE
from shared.runs import Run, Runs

_NO_BARS = BarColumns(np.empty(0, "datetime64[us]"))


@dataclass(frozen=True)
class HistoryPage:
    """What was read for one page; `window` are the bars before it that its features look back on."""

    walk: Walk
    bars: BarPage
    window: BarColumns
    gaps: list[Gap]

    def features(self, names: Sequence[str]) -> FeatureColumns:
        """Compute the features of the page's bars."""
        return compute_features(self.window, self.bars, self.walk.interval, names)

    def next_cursor(self) -> str | None:
        """Return the cursor of the next page; None at the end."""
        rest = self.walk.after(self.bars)
        return rest.cursor() if rest else None

    @property
    def is_whole(self) -> bool:
        """Whether no row can still come to it: the range is fixed, and nothing in it is to be fetched.

        Without a start only a full page is: on another an earlier beginning of the record would be seen.
        """
        is_bounded = self.walk.start is not None or self.bars.has_more
        return self.walk.is_fixed and is_bounded and are_absent(self.gaps)

    @property
    def start(self) -> datetime:
        """Where the range begins: as asked, or with the newest rows, at the first of them."""
        if self.walk.start is not None:
            return self.walk.start
        if self.walk.newest_first:
            return self.walk.lower
        return first_open(self.bars) if len(self.bars) else self.walk.end


async def select_history_page(
    connection: Connection, walk: Walk, limit: int, names: Sequence[str], until: datetime | None
) -> HistoryPage:
    """Read a page of at most `limit` bars; minutes from `until` on are not missing.

    Without `until` the gaps are not looked for.
    """
    need = needs_of(names)
    bars = await select_page(
        connection,
        BarRange(walk.symbol, walk.interval, walk.lower, walk.upper),
        limit,
        walk.direction,
        with_amounts=need.page_amounts,
        with_exact=need.page_exact,
    )
    window = _NO_BARS
    if need.bars and len(bars):
        end = first_open(bars)
        window = await select_window(
            connection,
            BarRange(walk.symbol, walk.interval, end - need.bars * walk.interval.length, end),
            with_ranges=need.ranges,
            with_amounts=need.amounts,
        )
    gaps = await _select_gaps(connection, walk, bars, until) if until else []
    return HistoryPage(walk, bars, window, gaps)


async def _select_gaps(connection: Connection, walk: Walk, bars: BarPage, until: datetime) -> list[Gap]:
    span = walk.span(bars, until)
    present = len(bars) if bars.counts is None else int(bars.counts.sum())
    if present >= span.minutes:
        return []
    if walk.interval is not ONE_MINUTE:
        return await select_gaps(connection, walk.symbol, *span)
    missing = Runs.of(span) - _present_minutes(bars)
    return classify(missing, await select_absences(connection, walk.symbol, *span))


def _present_minutes(bars: BarPage) -> Runs:
    """The minutes that a page of minutes has."""
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
