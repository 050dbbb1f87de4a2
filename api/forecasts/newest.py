"""The newest forecast of each horizon that has not expired."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api.fields import make_select_list, read_row
from api.forecasts.fields import NEWEST_FIELDS
from shared.database.connection import Connection


@dataclass(frozen=True)
class FreshForecast:
    """A forecast with the model that made it, as the answer has them; the model's age is by the database's clock."""

    horizon_minutes: int
    made_at: datetime
    expires_at: datetime
    content: dict[str, object]
    model_age_seconds: float


async def select_fresh_forecasts(connection: Connection, symbol: str, now: datetime) -> list[FreshForecast]:
    """Read the newest forecast of each horizon, in the order of horizons, of those that have not expired by `now`."""
    return [
        FreshForecast(
            row["horizon_minutes"],
            row["made_at"],
            row["expires_at"],
            read_row(NEWEST_FIELDS, row),
            row["model_age_seconds"],
        )
        for row in await connection.fetch(_FRESH, symbol, now)
    ]


def find_newest_made_at(forecasts: Sequence[FreshForecast]) -> datetime:
    """Return when the newest of them was made."""
    return max(forecast.made_at for forecast in forecasts)


# Put together once from the table of fields; values come as parameters only.
_FRESH: Final = f"""
    SELECT DISTINCT ON (horizon_minutes)
           {make_select_list(NEWEST_FIELDS)},
           greatest(0, date_part('epoch', clock_timestamp() - trained_at)) AS model_age_seconds
    FROM forecasts AS forecast
    JOIN models AS model ON model.symbol = forecast.symbol AND model.version = forecast.model_version
    WHERE forecast.symbol = $1
      AND made_at > $2::timestamptz - interval '1 hour'   -- so that the index ends the search
      AND expires_at > $2
    ORDER BY horizon_minutes, made_at DESC
"""  # noqa: S608 - of literals alone
