"""One page of past forecasts with what became of them, as columns: Postgres writes every value's text.

So few large values travel, decimals stay exact, and a page is put together from texts alone, as that of bars is.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson

from api.catalog import Catalog
from api.cursor import Place, make_foreign_cursor_problem
from api.forecast_status import select_forecast_status
from api.forecasts.fields import PAST_FIELDS
from api.forecasts.horizons import check_horizon
from api.forecasts.parameters import MAX_HORIZON, PastForecastsQuery
from api.kinds import TEXT
from api.paging import PagedRange, PagedRoute
from api.rows import Page
from api.tables import NULL, Table, Texts
from shared.database.connection import Connection
from shared.instant import EPOCH, MINUTE, to_text

_ROUTE = PagedRoute("forecasts", ("symbol", "horizon", "order", "start", "end"))
_TABLE: Final = Table(PAST_FIELDS)
# A column's texts travel joined by commas, and none of these has a comma in it.
assert not any(column.kind is TEXT for column in _TABLE.columns)  # noqa: S101 - whoever adds such a field is told
# Null where the forecast has no outcome yet.
_OUTCOME: Final = "actual_price"


@dataclass(frozen=True)
class ForecastsPage(Page):
    """What was read of the forecasts over one horizon, or over all; `oldest` is when the first of them was made."""

    horizon: int | None
    texts: Texts
    oldest: datetime | None

    def __len__(self) -> int:
        return len(self.texts[_OUTCOME])

    @property
    def is_settled(self) -> bool:
        """Whether the range is fixed and all are scored; no forecast is ever written of a time that is past."""
        return self.paged.is_fixed and NULL not in self.texts[_OUTCOME]

    @property
    def file_name(self) -> str:
        """The symbol, and that these are forecasts."""
        return f"{self.paged.symbol}-forecasts"

    def json(self) -> bytes:
        """Return the answer's JSON."""
        # With the newest rows, the range begins at the first of them.
        start = self.paged.start or self.oldest or self.paged.end
        head = {
            "symbol": self.paged.symbol,
            "start": to_text(start),
            "end": to_text(self.paged.end),
            "horizon_minutes": self.horizon,
            "count": len(self),
        }
        tail = {"next_cursor": self.rest.cursor() if self.rest else None}
        data = _TABLE.rows_json([self.texts])
        return b"".join((orjson.dumps(head)[:-1], b',"data":', data, b",", orjson.dumps(tail)[1:]))

    def csv(self, *, with_header: bool = True) -> bytes:
        """Return the answer's CSV."""
        return _TABLE.csv([self.texts], with_header=with_header)

    async def select_next(self, connection: Connection, limit: int) -> "ForecastsPage":
        """Read the page behind this one."""
        if self.rest is None:
            raise ValueError("nothing is left behind the last page")
        return await _select_page(connection, self.rest, self.horizon, limit)


async def select_first_page(
    connection: Connection, catalog: Catalog, limit: int, query: PastForecastsQuery
) -> ForecastsPage:
    """Resolve the parameters, and read the page of at most `limit` forecasts; raises ProblemError."""
    paged = _ROUTE.resolve(query, catalog)
    horizon = _read_horizon(paged)
    if paged.place is None and query.end is None:
        # The newest is made at the newest minute's end itself.
        paged = replace(paged, end=paged.end + MINUTE)
    if paged.start is None and (paged.newest_first or query.is_table):
        paged = replace(paged, start=min(catalog.begins[paged.symbol], paged.end))
    if horizon is not None:
        check_horizon(horizon, await select_forecast_status(connection, paged.symbol))
    return await _select_page(connection, paged, horizon, limit)


def _read_horizon(paged: PagedRange) -> int | None:
    """Return the horizon asked for; raises ProblemError for a cursor that no page gave."""
    horizon, place = paged.asked.get("horizon"), paged.place
    is_horizon = horizon is None or (horizon.isdecimal() and int(horizon) <= MAX_HORIZON)
    is_place = place is None or (
        0 <= place.within <= MAX_HORIZON and (paged.start or EPOCH) <= place.instant <= paged.end
    )
    if not is_horizon or not is_place:
        raise make_foreign_cursor_problem()
    return None if horizon is None else int(horizon)


async def _select_page(connection: Connection, paged: PagedRange, horizon: int | None, limit: int) -> ForecastsPage:
    start, end = paged.start or EPOCH, paged.end
    is_ascending = paged.direction == "ASC"
    # No horizon is 0, so that an instant with 0 lies before all forecasts that were made at it.
    place = paged.place or Place(start if is_ascending else end)
    other_end = end if is_ascending else start
    row = await connection.fetchrow(_STATEMENTS[paged.direction], paged.symbol, *place, other_end, horizon, limit)
    if row is None or not row["count"]:
        return ForecastsPage(paged, None, horizon, {column.name: [] for column in _TABLE.columns}, None)
    texts = {column.name: row[column.name].split(",") for column in _TABLE.columns}
    if not is_ascending and not paged.newest_first:
        texts = {name: values[::-1] for name, values in texts.items()}
    rest = None
    # Where the newest rows were asked for, these are they.
    if row["has_more"] and paged.start is not None:
        rest = paged.after(Place(row["last_made_at"], row["last_horizon"]))
    return ForecastsPage(paged, rest, horizon, texts, row["oldest"])


# The statements are put together once, here, from these literals; values come as parameters only:
# $1 symbol, $2 and $3 the place, $4 the range's other end, $5 one horizon or null, $6 limit.

_PAGE = """
    SELECT page.*,
           count > 0 AND EXISTS (
               SELECT
               FROM forecasts
               WHERE symbol = $1
                 AND (made_at, horizon_minutes) {beyond} (last_made_at, last_horizon)
                 AND {within}
                 AND ($5::integer IS NULL OR horizon_minutes = $5)
           ) AS has_more
    FROM (
        SELECT count(*) AS count,
               min(place_made_at) AS oldest,
               (array_agg(place_made_at))[count(*)] AS last_made_at,
               (array_agg(place_horizon))[count(*)] AS last_horizon,
               {columns}
        FROM (
            SELECT forecast.made_at AS place_made_at, forecast.horizon_minutes AS place_horizon,
                   {texts}
            FROM (
                SELECT *
                FROM forecasts
                WHERE symbol = $1
                  AND (made_at, horizon_minutes) {beyond} ($2, $3)
                  AND {within}
                  AND ($5::integer IS NULL OR horizon_minutes = $5)
                ORDER BY made_at {direction}, horizon_minutes {direction}
                LIMIT $6
            ) AS forecast
            LEFT JOIN forecast_scores AS score USING (symbol, made_at, horizon_minutes)
            ORDER BY place_made_at {direction}, place_horizon {direction}
        ) AS texts
    ) AS page
"""


def _make_statement(direction: str) -> str:
    return _PAGE.format(
        texts=", ".join(f"{column.text_sql()} AS {column.name}" for column in _TABLE.columns),
        columns=", ".join(f"string_agg({column.name}, ',') AS {column.name}" for column in _TABLE.columns),
        beyond=">" if direction == "ASC" else "<",
        within="made_at < $4" if direction == "ASC" else "made_at >= $4",
        direction=direction,
    )


_STATEMENTS: Final = {direction: _make_statement(direction) for direction in ("ASC", "DESC")}
