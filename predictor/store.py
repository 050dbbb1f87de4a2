"""Writes forecasts, models and trainings; what is there already stays, so that two predictors do no harm."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from predictor.model_info import ModelInfo
from shared.database.driver import Connection

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


class Outcome(NamedTuple):
    """How an attempt to train ended, and why so; the version is the registered model's, None where it failed."""

    name: Literal["promoted", "kept", "failed"]
    reason: str
    version: int | None = None


class Training(NamedTuple):
    """The newest training of a symbol that ended well."""

    started_at: datetime
    version: int


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
            WHERE target_time > exchange_now() + $6::interval
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


@dataclass(frozen=True)
class Decision:
    """What the gate decided of a model, and the figures that it decided by."""

    was_promoted: bool
    reason: str
    metrics: Mapping[str, float]


_UNKNOWN = Decision(
    was_promoted=True, reason="The registry names it the champion; its training is not in this database.", metrics={}
)


async def upsert_model(connection: Connection, info: ModelInfo, decision: Decision) -> None:
    """Write a model down as its training knows it."""
    await _upsert_model(connection, info, decision, wins=True)


async def adopt_model(connection: Connection, info: ModelInfo) -> None:
    """See to it that the champion can be named by forecasts, whether or not this database knows of its training.

    It does not after a restore; and a version may be another model's, where the registry was emptied.
    """
    await _upsert_model(connection, info, _UNKNOWN, wins=False)
    await connection.execute(
        "UPDATE models SET promoted_at = now() WHERE symbol = $1 AND version = $2 AND promoted_at IS NULL",
        info.symbol,
        info.version,
    )


async def _upsert_model(connection: Connection, info: ModelInfo, decision: Decision, *, wins: bool) -> None:
    await connection.execute(
        """
        INSERT INTO models AS model (
            symbol, version, name, run_id, trained_at, trained_from, trained_to, data_digest, feature_version,
            horizons, was_promoted, decision, metrics, promoted_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, CASE WHEN $11 THEN now() END)
        ON CONFLICT (symbol, version) DO UPDATE
        SET name = excluded.name, run_id = excluded.run_id, trained_at = excluded.trained_at,
            trained_from = excluded.trained_from, trained_to = excluded.trained_to,
            data_digest = excluded.data_digest, feature_version = excluded.feature_version,
            horizons = excluded.horizons, was_promoted = excluded.was_promoted, decision = excluded.decision,
            metrics = excluded.metrics, promoted_at = excluded.promoted_at
        WHERE $14 OR model.run_id <> excluded.run_id
        """,
        info.symbol,
        info.version,
        info.name,
        info.run_id,
        info.trained_at,
        info.trained_from,
        info.trained_to,
        info.data_digest,
        info.feature_version,
        list(info.horizons),
        decision.was_promoted,
        decision.reason,
        json.dumps(decision.metrics),
        wins,
    )


async def insert_training(connection: Connection, symbol: str, started_at: datetime, outcome: Outcome) -> None:
    """Write down how an attempt to train ended."""
    await connection.execute(
        """
        INSERT INTO trainings (symbol, started_at, ended_at, outcome, reason, version)
        VALUES ($1, $2, clock_timestamp(), $3, $4, $5)
        ON CONFLICT (symbol, started_at) DO NOTHING
        """,
        symbol,
        started_at,
        *outcome,
    )


async def select_last_training(connection: Connection, symbol: str) -> Training | None:
    """Read the newest training that ended well."""
    row = await connection.fetchrow(
        """
        SELECT started_at, version
        FROM trainings
        WHERE symbol = $1
          AND outcome <> 'failed'
        ORDER BY started_at DESC
        LIMIT 1
        """,
        symbol,
    )
    return Training(row["started_at"], row["version"]) if row else None
