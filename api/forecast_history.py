"""One page of past forecasts with what became of them, as columns: Postgres writes every value's text.

So few large values travel, decimals stay exact, and a page is put together from texts alone, as that of bars is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api.forecast_walk import ForecastWalk, Place
from shared.database.driver import Connection
from shared.instant import EPOCH
from shared.levels import LEVELS

_INSTANT = """to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
_EXACT_INSTANT = """to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_PRICE = "trim_scale({})::text"
_PLAIN = "({})::text"

# A column's name, and how its text is written; in the order of a line of CSV.
_FORECAST: Final = {
    "made_at": _INSTANT.format("made_at"),
    "horizon_minutes": _PLAIN.format("horizon_minutes"),
    "target_time": _INSTANT.format("forecast.target_time"),
    "expires_at": _INSTANT.format("expires_at"),
    "base_price": _PRICE.format("base_price"),
    "price": _PRICE.format("point"),
    **{
        f"{side}_{level}": _PRICE.format(f"{side}_bounds[array_position(forecast.levels, {level}::smallint)]")
        for level in LEVELS
        for side in ("lower", "upper")
    },
    "volatility": _PLAIN.format("volatility"),
    "probability_up": _PLAIN.format("probability_up"),
    "model_version": _PLAIN.format("model_version"),
    "created_at": _EXACT_INSTANT.format("created_at"),
}
_OUTCOME: Final = {
    "actual_price": _PRICE.format("actual_price"),
    "absolute_error": _PRICE.format("absolute_error"),
    "naive_absolute_error": _PRICE.format("naive_absolute_error"),
    **{
        f"{name}_{level}": _PLAIN.format(f"{name}[array_position(score.levels, {level}::smallint)]")
        for name in ("covered", "winkler")
        for level in LEVELS
    },
    "pinball": _PLAIN.format("pinball"),
    "realised_volatility": _PLAIN.format("sqrt(realised_variance)"),
    "qlike": _PLAIN.format("qlike"),
    "scored_at": _EXACT_INSTANT.format("scored_at"),
    "rescored_at": _EXACT_INSTANT.format("rescored_at"),
}
COLUMNS: Final = (*_FORECAST, *_OUTCOME)


@dataclass(frozen=True)
class ForecastPage:
    """What was read for one page: `columns` by name of COLUMNS, in the walk's order; a text is empty for null."""

    walk: ForecastWalk
    columns: dict[str, list[str]]
    first: datetime | None
    rest: ForecastWalk | None

    def __len__(self) -> int:
        return len(self.columns["made_at"])

    @property
    def start(self) -> datetime:
        """Where the range begins: as asked, or with the newest, at the first of them."""
        return self.walk.start or self.first or self.walk.end

    @property
    def is_settled(self) -> bool:
        """Whether all of it is scored and its range fixed; no forecast is ever written of a time that is past."""
        return self.walk.is_fixed and all(self.columns["actual_price"])


async def select_forecast_page(connection: Connection, walk: ForecastWalk, limit: int) -> ForecastPage:
    """Read a page of at most `limit` forecasts."""
    row = await connection.fetchrow(
        _STATEMENTS[walk.direction],
        walk.symbol,
        *walk.place,
        walk.end if walk.direction == "ASC" else walk.start or EPOCH,
        walk.horizon,
        limit,
    )
    if row is None or not row["count"]:
        return ForecastPage(walk, {name: [] for name in COLUMNS}, None, None)
    columns = {name: row[name].split(",") for name in COLUMNS}
    if walk.direction == "DESC" and not walk.newest_first:
        columns = {name: values[::-1] for name, values in columns.items()}
    last = Place(row["last_made_at"], row["last_horizon"])
    return ForecastPage(walk, columns, row["oldest"], walk.after(last) if row["has_more"] else None)


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


def _statement(direction: str) -> str:
    return _PAGE.format(
        texts=", ".join(f"coalesce({expression}, '') AS {name}" for name, expression in (_FORECAST | _OUTCOME).items()),
        columns=", ".join(f"string_agg({name}, ',') AS {name}" for name in COLUMNS),
        beyond=">" if direction == "ASC" else "<",
        within="made_at < $4" if direction == "ASC" else "made_at >= $4",
        direction=direction,
    )


_STATEMENTS = {direction: _statement(direction) for direction in ("ASC", "DESC")}
