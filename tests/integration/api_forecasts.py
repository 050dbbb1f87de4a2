"""Forecasts for the API's tests, written as the predictor writes them: before their targets, by its own role."""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from predictor.model_info import ModelInfo
from predictor.queries.forecasts import Forecast, ForecastRow, insert_forecast
from predictor.queries.models import Promotion, upsert_model
from predictor.queries.scores import upsert_scores
from predictor.queries.status import SymbolStatus, upsert_status
from shared.database.connection import Connection, DriverConnection
from shared.database.heartbeats import upsert_heartbeat
from shared.instant import MINUTE, utc_now
from shared.levels import LEVELS
from tests.collecting import connected
from tests.integration.api_server import START, SYMBOL, Tick, beat
from tests.postgres import Database

HORIZONS = (1, 5, 60)
MODEL = ModelInfo(
    symbol=SYMBOL,
    version=3,
    name="minutebook-BTCUSDT",
    run_id="5f0c1e7a",
    trained_at=datetime(2024, 2, 29, 3, 15, 21, tzinfo=UTC),
    trained_from=datetime(2024, 1, 29, 3, 15, tzinfo=UTC),
    trained_to=datetime(2024, 2, 29, 3, 15, tzinfo=UTC),
    data_digest="9f86d081",
    feature_version=1,
    horizons=HORIZONS,
)
DECISION = "The challenger replaces the champion: its mean score is 0.98 of the champion's."


def bounds_about(close: Decimal, horizon: int) -> dict[int, tuple[Decimal, Decimal]]:
    """The bounds by level of a forecast of `Scribe` that is made at that close."""
    reaches = {level: 10 * step * horizon for step, level in enumerate(LEVELS, 1)}
    return {level: (close - reach, close + reach) for level, reach in reaches.items()}


@dataclass(frozen=True)
class Scribe:
    """Writes as the predictor, and sets the exchange's clock as the owner."""

    owner: DriverConnection
    predictor: DriverConnection

    async def set_time(self, instant: datetime) -> None:
        """Let the exchange's clock show `instant`, and run on."""
        await beat(self.owner, instant)

    async def forecast(
        self, tick: Tick, horizons: Sequence[int] = HORIZONS, point: Decimal | None = None, symbol: str = SYMBOL
    ) -> Forecast:
        """Forecast at a tick's close, two seconds after it."""
        made_at = tick.minute + MINUTE
        await self.set_time(made_at + timedelta(seconds=2))
        rows = [
            ForecastRow(
                horizon_minutes=minutes,
                point=point or tick.close,
                intervals=bounds_about(tick.close, minutes),
                volatility=0.0005 * minutes**0.5,
                probability_up=0.5,
            )
            for minutes in horizons
        ]
        forecast = Forecast(symbol, made_at, tick.close, MODEL.version, rows)
        assert await insert_forecast(Connection(self.predictor), forecast) == list(horizons)
        return forecast

    async def forecast_all(self, ticks: Iterable[Tick], horizons: Sequence[int] = HORIZONS) -> None:
        """Forecast at the close of each tick, in order."""
        for tick in ticks:
            await self.forecast(tick, horizons)

    async def score(self) -> int:
        """Score what came due by the exchange's clock."""
        async with self.predictor.transaction():
            return await upsert_scores(Connection(self.predictor), SYMBOL)

    async def tell(
        self, reason: str | None, *, registry_reason: str | None = None, symbol: str = SYMBOL, silent_for: int = 0
    ) -> None:
        """Say, so many seconds ago, that the symbol is forecast, or why not."""
        await upsert_status(
            Connection(self.predictor),
            SymbolStatus(symbol, reason, None, MODEL.version, registry_reason, START + timedelta(days=1)),
        )
        await self.owner.execute(
            "UPDATE predictor_status SET checked_at = checked_at - $2 * interval '1 second' WHERE symbol = $1",
            symbol,
            silent_for,
        )

    async def live(self, *symbols: str, silent_for: int = 0) -> None:
        """Give a predictor's sign of life, so many seconds ago, that names its symbols."""
        instance = f"test-{secrets.token_hex(3)}"
        await upsert_heartbeat(Connection(self.predictor), "predictor", instance, utc_now(), {"symbols": symbols})
        await self.owner.execute(
            "UPDATE heartbeats SET beat_at = beat_at - $2 * interval '1 second' WHERE instance = $1",
            instance,
            silent_for,
        )


@asynccontextmanager
async def writing(database: Database, symbols: Sequence[str] = (SYMBOL,)) -> AsyncIterator[Scribe]:
    """Write forecasts into that database, which gets a model of each symbol."""
    async with connected(database.owner_url) as owner, connected(database.predictor_url) as predictor:
        for symbol in symbols:
            promotion = Promotion(was_promoted=True, reason=DECISION, metrics={})
            await upsert_model(Connection(predictor), replace(MODEL, symbol=symbol), promotion)
        yield Scribe(owner, predictor)
