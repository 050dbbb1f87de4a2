"""The newest forecast of each horizon that has not expired."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from asyncpg import Record

from shared.database.driver import Connection
from shared.instant import to_text


@dataclass(frozen=True)
class FreshForecast:
    """A forecast with the model that made it, as the answer has them; the model's age is the database's word."""

    horizon_minutes: int
    made_at: datetime
    expires_at: datetime
    content: dict[str, object]
    model_age_seconds: float


async def select_fresh_forecasts(connection: Connection, symbol: str, now: datetime) -> list[FreshForecast]:
    """Read the newest forecast of each horizon, in the order of horizons, of those that have not expired by `now`."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (horizon_minutes)
               horizon_minutes, made_at, target_time, expires_at,
               trim_scale(base_price)::text AS base_price,
               trim_scale(point)::text AS price,
               point = base_price AS is_naive,
               levels,
               ARRAY(SELECT trim_scale(bound)::text FROM unnest(lower_bounds) AS bound) AS lower_bounds,
               ARRAY(SELECT trim_scale(bound)::text FROM unnest(upper_bounds) AS bound) AS upper_bounds,
               volatility, probability_up,
               name, version, run_id, trained_at, trained_from, trained_to, data_digest, feature_version, decision,
               greatest(0, date_part('epoch', clock_timestamp() - trained_at)) AS model_age_seconds
        FROM forecasts
        JOIN models ON models.symbol = forecasts.symbol AND models.version = forecasts.model_version
        WHERE forecasts.symbol = $1
          AND made_at > $2::timestamptz - interval '1 hour'   -- so that the index ends the search
          AND expires_at > $2
        ORDER BY horizon_minutes, made_at DESC
        """,
        symbol,
        now,
    )
    return [
        FreshForecast(
            row["horizon_minutes"], row["made_at"], row["expires_at"], _content(row), row["model_age_seconds"]
        )
        for row in rows
    ]


def newest_made_at(forecasts: Sequence[FreshForecast]) -> datetime:
    """Return when the newest of them was made."""
    return max(forecast.made_at for forecast in forecasts)


def _content(row: Record) -> dict[str, object]:
    return {
        "horizon_minutes": row["horizon_minutes"],
        "made_at": to_text(row["made_at"]),
        "target_time": to_text(row["target_time"]),
        "expires_at": to_text(row["expires_at"]),
        "base_price": orjson.Fragment(row["base_price"]),
        "price": orjson.Fragment(row["price"]),
        "is_naive": row["is_naive"],
        "intervals": {
            str(level): [orjson.Fragment(lower), orjson.Fragment(upper)]
            for level, lower, upper in zip(row["levels"], row["lower_bounds"], row["upper_bounds"], strict=True)
        },
        "volatility": row["volatility"],
        "probability_up": row["probability_up"],
        "model": {
            "name": row["name"],
            "version": row["version"],
            "run_id": row["run_id"],
            "trained_at": to_text(row["trained_at"]),
            "trained_from": to_text(row["trained_from"]),
            "trained_to": to_text(row["trained_to"]),
            "data_digest": row["data_digest"],
            "feature_version": row["feature_version"],
            "decision": row["decision"],
        },
    }
