"""A walk through history: the range resolved once, what is left of it, and where a page ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api.bars import BarPage, Direction
from api.catalog import Catalog
from api.cursor import Cursor, deciding_parameters, decode_cursor, foreign_cursor
from api.intervals import INTERVALS, Interval
from api.parameters import HistoryQuery, is_fixed_range, read_range
from shared.instant import MINUTE, from_milliseconds
from shared.runs import Run

_ROUTE = "history"
# What decides which rows are walked; how they are written may change from page to page.
_DECIDING = ("symbol", "interval", "order", "start", "end")


@dataclass(frozen=True)
class Walk:
    """Bars that open in [lower, upper) are still to be served; `start` and `end` are the whole range's.

    Without a start it is the newest rows that are wanted. `is_fixed` says that the range does not move with the clock.
    """

    asked: Mapping[str, str]
    symbol: str
    interval: Interval
    newest_first: bool
    start: datetime | None
    end: datetime
    lower: datetime
    upper: datetime
    is_fixed: bool

    @property
    def direction(self) -> Direction:
        """Which way a page is read."""
        return "DESC" if self.newest_first or self.start is None else "ASC"

    def after(self, page: BarPage) -> "Walk | None":
        """Return the walk that is left after a page; None at the end."""
        if not page.has_more:
            return None
        if self.newest_first:
            return replace(self, upper=first_open(page))
        # The newest rows were asked for, and these are they.
        return None if self.start is None else replace(self, lower=last_open(page) + self.interval.length)

    def cursor(self) -> str:
        """Return the cursor of a walk that goes on."""
        position = self.upper if self.newest_first else self.lower
        start = self.lower if self.start is None else self.start
        return Cursor(_ROUTE, self.asked, self.symbol, start, self.end, position).encode()

    def span(self, page: BarPage, until: datetime) -> Run:
        """Return the minutes that a page answers for: up to its last row, or to the walk's end where that is reached.

        What is not past by `until` is not missing yet.
        """
        upper = min(self.upper, max(until, last_open(page) + MINUTE if len(page) else until))
        if not page.has_more and (self.start is not None or self.newest_first):
            return Run(self.lower, max(self.lower, upper))
        if self.direction == "DESC":
            return Run(first_open(page) if len(page) else upper, upper)
        return Run(self.lower, last_open(page) + self.interval.length)


def begin_walk(query: HistoryQuery, catalog: Catalog) -> Walk:
    """Resolve the parameters; raises ProblemError."""
    given = deciding_parameters(query, _DECIDING)
    return _continued(query.cursor, given, catalog) if query.cursor else _new(query, given, catalog)


def first_open(page: BarPage) -> datetime:
    """The open of a page's oldest bar."""
    return _instant(page, 0)


def last_open(page: BarPage) -> datetime:
    """The open of a page's newest bar."""
    return _instant(page, -1)


def _new(query: HistoryQuery, given: Mapping[str, str], catalog: Catalog) -> Walk:
    symbol = catalog.resolve(query.symbol)
    interval = INTERVALS[query.interval]
    until = catalog.closed_until()
    start, end = read_range(query.start, query.end, until)
    begin = start or catalog.begins[symbol]
    return Walk(
        asked={**given, "symbol": symbol, "interval": interval.name, "order": query.order},
        symbol=symbol,
        interval=interval,
        newest_first=query.order == "desc",
        start=start,
        end=end,
        lower=interval.ceil(begin) if start else interval.floor(begin),
        upper=_finished(interval, end, until),
        is_fixed=is_fixed_range(query.start, query.end),
    )


def _continued(text: str, given: Mapping[str, str], catalog: Catalog) -> Walk:
    cursor = decode_cursor(text, _ROUTE, given)
    interval = INTERVALS.get(cursor.asked.get("interval", ""))
    order = cursor.asked.get("order")
    if interval is None or order not in {"asc", "desc"} or interval.ceil(cursor.position) != cursor.position:
        raise foreign_cursor()
    newest_first = order == "desc"
    lower = interval.ceil(cursor.start)
    upper = _finished(interval, cursor.end, catalog.closed_until())
    return Walk(
        asked=cursor.asked,
        symbol=catalog.resolve(cursor.symbol),
        interval=interval,
        newest_first=newest_first,
        start=cursor.start,
        end=cursor.end,
        lower=lower if newest_first else max(lower, cursor.position),
        upper=min(upper, cursor.position) if newest_first else upper,
        is_fixed=True,
    )


def _finished(interval: Interval, end: datetime, until: datetime) -> datetime:
    """The end of the opens that may be served: every stored minute is closed, a longer bar may still be growing."""
    return interval.ceil(end) if interval.length == MINUTE else min(interval.ceil(end), interval.floor(until))


def _instant(page: BarPage, index: int) -> datetime:
    microseconds = int(page.opened_at[index].astype("int64"))
    return from_milliseconds(0) + timedelta(microseconds=microseconds)
