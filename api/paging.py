"""The range that a reader pages through: resolved once, so that `24h` does not move between pages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from api.catalog import Catalog
from api.cursor import Cursor, Place, decode_cursor, make_foreign_cursor_problem
from api.parameters import PageQuery, is_fixed_range, read_range
from shared.symbols import normalise_symbol

Direction = Literal["ASC", "DESC"]


@dataclass(frozen=True)
class PagedRange:
    """The rows of one symbol in [start, end), in the order of time or the newest first.

    `asked` has the parameters that decide which rows these are. Without a start it is the newest rows that are wanted:
    one page, and no other. `place` is where the page before ended; None on the first. `is_fixed` says that the range
    does not move with the clock, `is_start_fixed` that it does not begin where the record does. What lies before
    `closed_until` is past, and what lies before `record_until` should be in the record.
    """

    route: str
    asked: Mapping[str, str]
    symbol: str
    start: datetime | None
    end: datetime
    place: Place | None
    newest_first: bool
    is_fixed: bool
    is_start_fixed: bool
    closed_until: datetime
    record_until: datetime

    @property
    def direction(self) -> Direction:
        """Which way a page is read."""
        return "DESC" if self.newest_first or self.start is None else "ASC"

    def after(self, place: Place) -> "PagedRange":
        """Return what is left of the range behind a page that ended at `place`."""
        return replace(self, place=place)

    def cursor(self) -> str:
        """Return the cursor of a range that has a start and a place."""
        if self.start is None or self.place is None:
            raise ValueError("only what is left of a range has a cursor")
        return Cursor(self.route, self.asked, self.symbol, self.start, self.end, self.place).encode()


class PagedRoute(NamedTuple):
    """A route that answers in pages: its name in cursors, and the parameters that decide which rows it has.

    How the rows are written may change from page to page.
    """

    name: str
    deciding: tuple[str, ...]

    def resolve(self, query: PageQuery, catalog: Catalog) -> PagedRange:
        """Resolve the parameters, or those that the cursor carries; raises ProblemError."""
        given = {name: str(getattr(query, name)) for name in self.deciding if name in query.model_fields_set}
        if "symbol" in given:
            given["symbol"] = normalise_symbol(given["symbol"])
        if query.cursor:
            return self._resolve_cursor(query.cursor, given, catalog)
        symbol = catalog.resolve(query.symbol)
        values = {name: getattr(query, name) for name in self.deciding} | {"symbol": symbol}
        until = catalog.closed_until(symbol)
        start, end = read_range(query.start, query.end, until)
        return PagedRange(
            route=self.name,
            asked=given | {name: str(value) for name, value in values.items() if value is not None},
            symbol=symbol,
            start=start,
            end=end,
            place=None,
            newest_first=values.get("order") == "desc",
            is_fixed=is_fixed_range(query.start, query.end),
            is_start_fixed=start is not None,
            closed_until=until,
            record_until=catalog.record_until(symbol, until),
        )

    def _resolve_cursor(self, text: str, given: Mapping[str, str], catalog: Catalog) -> PagedRange:
        cursor = decode_cursor(text, self.name, given)
        order = cursor.asked.get("order")
        if "order" in self.deciding and order not in {"asc", "desc"}:
            raise make_foreign_cursor_problem()
        symbol = catalog.resolve(cursor.symbol)
        until = catalog.closed_until(symbol)
        return PagedRange(
            route=self.name,
            asked=cursor.asked,
            symbol=symbol,
            start=cursor.start,
            end=cursor.end,
            place=cursor.place,
            newest_first=order == "desc",
            is_fixed=True,
            is_start_fixed=True,
            closed_until=until,
            record_until=catalog.record_until(symbol, until),
        )
