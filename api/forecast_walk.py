"""A walk through past forecasts: the range resolved once, what is left of it, and where a page ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from api.catalog import Catalog
from api.cursor import Cursor, deciding_parameters, decode_cursor, foreign_cursor
from api.parameters import MAX_HORIZON, ForecastHistoryQuery, is_fixed_range, read_range
from shared.instant import MINUTE

_ROUTE = "forecasts"
_DECIDING = ("symbol", "horizon", "order", "start", "end")


class Place(NamedTuple):
    """Where a forecast stands in order of time; no horizon is 0, so that (instant, 0) lies before all of an instant."""

    made_at: datetime
    horizon_minutes: int = 0


@dataclass(frozen=True)
class ForecastWalk:
    """Forecasts made in [start, end) of which those beyond `place` are still to be served, all or of one horizon.

    Without a start it is the newest that are wanted. `is_fixed` says that the range does not move with the clock.
    """

    asked: Mapping[str, str]
    symbol: str
    horizon: int | None
    newest_first: bool
    start: datetime | None
    end: datetime
    place: Place
    is_fixed: bool

    @property
    def direction(self) -> Literal["ASC", "DESC"]:
        """Which way a page is read."""
        return "DESC" if self.newest_first or self.start is None else "ASC"

    def after(self, last: Place) -> "ForecastWalk | None":
        """Return the walk behind the last row served; None where the newest were asked for, and these are they."""
        return None if self.start is None else replace(self, place=last)

    def cursor(self) -> str:
        """Return the cursor of a walk that goes on, and so has a start."""
        return Cursor(_ROUTE, self.asked, self.symbol, self.start or self.end, self.end, *self.place).encode()


def begin_forecast_walk(query: ForecastHistoryQuery, catalog: Catalog) -> ForecastWalk:
    """Resolve the parameters; raises ProblemError."""
    given = deciding_parameters(query, _DECIDING)
    return _continued(query.cursor, given, catalog) if query.cursor else _new(query, given, catalog)


def _new(query: ForecastHistoryQuery, given: Mapping[str, str], catalog: Catalog) -> ForecastWalk:
    symbol = catalog.resolve(query.symbol)
    until = catalog.closed_until()
    start, end = read_range(query.start, query.end, until)
    if query.end is None:
        # The newest is made at the newest minute's end itself.
        end += MINUTE
    newest_first = query.order == "desc"
    if start is None and (newest_first or query.is_table):
        start = min(catalog.begins[symbol], end)
    return ForecastWalk(
        asked={**given, "symbol": symbol, "order": query.order},
        symbol=symbol,
        horizon=query.horizon,
        newest_first=newest_first,
        start=start,
        end=end,
        place=Place(end if newest_first or start is None else start),
        is_fixed=is_fixed_range(query.start, query.end),
    )


def _continued(text: str, given: Mapping[str, str], catalog: Catalog) -> ForecastWalk:
    cursor = decode_cursor(text, _ROUTE, given)
    order, horizon = cursor.asked.get("order"), cursor.asked.get("horizon")
    is_ours = order in {"asc", "desc"} and (horizon is None or (horizon.isdecimal() and int(horizon) <= MAX_HORIZON))
    if not is_ours or not 0 <= cursor.within <= MAX_HORIZON or not cursor.start <= cursor.position <= cursor.end:
        raise foreign_cursor()
    return ForecastWalk(
        asked=cursor.asked,
        symbol=catalog.resolve(cursor.symbol),
        horizon=None if horizon is None else int(horizon),
        newest_first=order == "desc",
        start=cursor.start,
        end=cursor.end,
        place=Place(cursor.position, cursor.within),
        is_fixed=True,
    )
