"""Whether a symbol has a fresh forecast, and if not, why not: what the predictor says, and what it has written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.freshness import SILENT_SECONDS
from shared.database.connection import Connection, Record
from shared.instant import to_text


@dataclass(frozen=True)
class ForecastStatus:
    """One symbol's forecasts as the database shows them; None for what is not known.

    `is_wanted` says that the predictors that live, or the last that did, forecast the symbol. The predictor
    wrote `reason` and `registry_reason` at `checked_at`, which is by the database's clock, as `silent_seconds` are.
    `made_at` and `expires_at` are the newest forecast's, by the exchange's clock. `horizons` are all that a model was
    trained for.
    """

    symbol: str
    is_wanted: bool = False
    checked_at: datetime | None = None
    silent_seconds: float | None = None
    reason: str | None = None
    registry_reason: str | None = None
    next_training_at: datetime | None = None
    model_version: int | None = None
    trained_at: datetime | None = None
    model_age_seconds: float | None = None
    made_at: datetime | None = None
    expires_at: datetime | None = None
    horizons: tuple[int, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether the predictor's status of this symbol is too old to rely on."""
        return self.silent_seconds is None or self.silent_seconds > SILENT_SECONDS

    def is_fresh(self, now: datetime) -> bool:
        """Whether there is a forecast that holds."""
        return self.expires_at is not None and now < self.expires_at

    def explain_absence(self) -> str:
        """Return why there is no fresh forecast."""
        if self.checked_at is None and self.made_at is None:
            return (
                f"{self.symbol} has never been forecast; start the predictor with {self.symbol} in PREDICTOR_SYMBOLS."
            )
        expired = ""
        if self.made_at is not None and self.expires_at is not None:
            expired = f"The newest forecast, made at {to_text(self.made_at)}, expired at {to_text(self.expires_at)}."
        if self.checked_at is not None and self.is_silent:
            since = to_text(self.checked_at.replace(microsecond=0))
            silence = f"The predictor has said nothing of {self.symbol} since {since}."
            return f"{silence} {expired}".rstrip()
        return self.reason or expired or f"The first forecast of {self.symbol} is under way."


async def select_forecast_symbols(connection: Connection) -> list[str]:
    """Read every symbol that is or was forecast."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT jsonb_array_elements_text(details -> 'symbols') AS symbol
        FROM heartbeats
        WHERE service = 'predictor'
          AND beat_at > (SELECT max(beat_at) FROM heartbeats WHERE service = 'predictor') - $1 * interval '1 second'
        UNION
        SELECT symbol FROM predictor_status
        UNION
        SELECT symbol FROM models
        ORDER BY symbol
        """,
        SILENT_SECONDS,
    )
    return [row["symbol"] for row in rows]


async def select_forecast_statuses(connection: Connection, symbols: Sequence[str]) -> dict[str, ForecastStatus]:
    """Read the status of each of these symbols, forecast or not."""
    rows = await connection.fetch(
        """
        SELECT known.symbol,
               EXISTS (
                   SELECT
                   FROM heartbeats
                   WHERE service = 'predictor'
                     AND beat_at > (SELECT max(beat_at) FROM heartbeats WHERE service = 'predictor')
                                   - $1 * interval '1 second'
                     AND details -> 'symbols' ? known.symbol
               ) AS is_wanted,
               status.checked_at,
               date_part('epoch', clock_timestamp() - status.checked_at) AS silent_seconds,
               status.reason,
               status.registry_reason,
               status.next_training_at,
               model.version AS model_version,
               model.trained_at,
               date_part('epoch', clock_timestamp() - model.trained_at) AS model_age_seconds,
               newest.made_at,
               newest.expires_at,
               trained.horizons
        FROM unnest($2::text[]) AS known (symbol)
        LEFT JOIN predictor_status AS status ON status.symbol = known.symbol
        LEFT JOIN LATERAL (
            SELECT made_at, expires_at, model_version
            FROM forecasts
            WHERE forecasts.symbol = known.symbol
            ORDER BY made_at DESC
            LIMIT 1
        ) AS newest ON true
        LEFT JOIN models AS model
          ON model.symbol = known.symbol
         AND model.version = coalesce(status.model_version, newest.model_version)
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(DISTINCT minutes), '{}') AS horizons
            FROM models
            CROSS JOIN unnest(models.horizons) AS minutes
            WHERE models.symbol = known.symbol
        ) AS trained
        ORDER BY known.symbol
        """,
        SILENT_SECONDS,
        symbols,
    )
    return {row["symbol"]: _status(row) for row in rows}


async def select_forecast_status(connection: Connection, symbol: str) -> ForecastStatus:
    """Read the status of one symbol, forecast or not."""
    return (await select_forecast_statuses(connection, [symbol]))[symbol]


def _status(row: Record) -> ForecastStatus:
    return ForecastStatus(**{**dict(row), "horizons": tuple(row["horizons"])})
