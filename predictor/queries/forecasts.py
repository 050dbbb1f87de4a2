"""Writes forecasts and reads them; one that is there already stays, so that two predictors do no harm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from shared.database.connection import Connection

# A new forecast comes each minute; one that is older than that and half a minute is not fresh.
FRESH = timedelta(seconds=90)
# One that is written less than this before its target is of no use to anybody.
_LEAST_LEAD = timedelta(seconds=1)


class ForecastRow(NamedTuple):
    """One horizon of a forecast: prices rounded as the symbol's are."""

    horizon_minutes: int
    point: Decimal
    intervals: Mapping[int, tuple[Decimal, Decimal]]
    """The lower and upper bound by level, the levels increasing."""
    volatility: float
    probability_up: float


@dataclass(frozen=True)
class Forecast:
    """What is forecast for a symbol at one minute's close."""

    symbol: str
    made_at: datetime
    base_price: Decimal
    model_version: int
    rows: Sequence[ForecastRow]


async def insert_forecast(connection: Connection, forecast: Forecast) -> list[int]:
    """Write the horizons whose target is still ahead, and that they are to be scored; returns those that were new."""
    bounds = [
        (row.horizon_minutes, level, lower, upper)
        for row in forecast.rows
        for level, (lower, upper) in row.intervals.items()
    ]
    rows = await connection.fetch(
        """
        WITH written AS (
            INSERT INTO forecasts (
                symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, levels, lower_bounds,
                upper_bounds, volatility, probability_up, model_version
            )
            SELECT $1, $2, horizon_minutes, target_time, $2::timestamptz + $3::interval, $4, point, levels,
                   lower_bounds, upper_bounds, volatility, probability_up, $5
            FROM unnest($7::integer[], $8::numeric[], $9::float8[], $10::float8[])
                AS row (horizon_minutes, point, volatility, probability_up)
            JOIN (
                SELECT horizon_minutes,
                       array_agg(level ORDER BY level) AS levels,
                       array_agg(lower_bound ORDER BY level) AS lower_bounds,
                       array_agg(upper_bound ORDER BY level) AS upper_bounds
                FROM unnest($11::integer[], $12::smallint[], $13::numeric[], $14::numeric[])
                    AS bounds (horizon_minutes, level, lower_bound, upper_bound)
                GROUP BY horizon_minutes
            ) AS intervals USING (horizon_minutes)
            CROSS JOIN LATERAL (SELECT $2::timestamptz + make_interval(mins => horizon_minutes)) AS target (target_time)
            WHERE target_time > exchange_now($1) + $6::interval
            ON CONFLICT (symbol, made_at, horizon_minutes) DO NOTHING
            RETURNING symbol, target_time, made_at, horizon_minutes
        )
        INSERT INTO forecasts_due (symbol, target_time, made_at, horizon_minutes)
        SELECT symbol, target_time, made_at, horizon_minutes
        FROM written
        RETURNING horizon_minutes
        """,
        forecast.symbol,
        forecast.made_at,
        FRESH,
        forecast.base_price,
        forecast.model_version,
        _LEAST_LEAD,
        [row.horizon_minutes for row in forecast.rows],
        [row.point for row in forecast.rows],
        [row.volatility for row in forecast.rows],
        [row.probability_up for row in forecast.rows],
        *zip(*bounds, strict=True),
    )
    return sorted(row["horizon_minutes"] for row in rows)


async def select_is_forecast(connection: Connection, symbol: str, made_at: datetime) -> bool:
    """Whether some predictor has written a forecast of this minute."""
    found = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM forecasts WHERE symbol = $1 AND made_at = $2)", symbol, made_at
    )
    return bool(found)


async def select_forecast(connection: Connection, symbol: str, made_at: datetime) -> Forecast | None:
    """Read what was forecast at a minute's close."""
    rows = await connection.fetch(
        """
        SELECT base_price, model_version, horizon_minutes, point, levels, lower_bounds, upper_bounds, volatility,
               probability_up
        FROM forecasts
        WHERE symbol = $1
          AND made_at = $2
        ORDER BY horizon_minutes
        """,
        symbol,
        made_at,
    )
    if not rows:
        return None
    base_price, model_version = rows[0]["base_price"], rows[0]["model_version"]
    return Forecast(
        symbol,
        made_at,
        base_price,
        model_version,
        [
            ForecastRow(
                horizon_minutes=row["horizon_minutes"],
                point=row["point"],
                intervals=dict(
                    zip(row["levels"], zip(row["lower_bounds"], row["upper_bounds"], strict=True), strict=True)
                ),
                volatility=row["volatility"],
                probability_up=row["probability_up"],
            )
            for row in rows
        ],
    )
