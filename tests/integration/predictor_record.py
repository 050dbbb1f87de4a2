"""A record for the predictor's tests: minutes with the prices that a test wants, at the time that it wants."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from predictor.model_info import ModelInfo
from predictor.queries.forecasts import Forecast, ForecastRow
from shared.feature_table import FEATURE_VERSION
from shared.instant import MINUTE
from shared.levels import LEVELS
from tests.postgres import AnyConnection

SYMBOL = "BTCUSDT"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def prices(count: int, first: float = 60_000.0) -> list[Decimal]:
    """Prices that move a little each minute."""
    return [
        Decimal(first * math.exp(0.001 * math.sin(index * 1.7))).quantize(Decimal("0.01")) for index in range(count)
    ]


async def store_minutes(owner: AnyConnection, start: datetime, closes: Sequence[Decimal], symbol: str = SYMBOL) -> None:
    """Store minutes from `start` on, one a close, as the collector would have them; corrected where they are there."""
    minutes = [start + index * MINUTE for index in range(len(closes))]
    await owner.execute(
        """
        INSERT INTO ticks AS tick (
            symbol, minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume,
            taker_quote_volume, source
        )
        SELECT $1, minute, close, close * 1.001, close * 0.999, close, 2, 2 * close, 100, 1, close, 'test'
        FROM unnest($2::timestamptz[], $3::numeric[]) AS minute (minute, close)
        ON CONFLICT (symbol, minute) DO UPDATE
        SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
            corrected_at = now()
        """,
        symbol,
        minutes,
        list(closes),
    )
    await owner.execute("SELECT refresh_rollups($1, $2, $3)", symbol, start, start + len(closes) * MINUTE)
    await owner.execute("SELECT pg_notify('ticks', $1)", symbol)


async def set_exchange_time(owner: AnyConnection, instant: datetime) -> None:
    """Let the exchange's clock show `instant` now, and run on."""
    await owner.execute(
        """
        INSERT INTO exchange_clocks (source, exchange_time, told_at)
        VALUES ('binance', $1, clock_timestamp())
        ON CONFLICT (source) DO UPDATE
        SET exchange_time = excluded.exchange_time, told_at = excluded.told_at
        """,
        instant,
    )


def model_info(version: int = 1, symbol: str = SYMBOL, run_id: str = "") -> ModelInfo:
    """What a registry would say of a model."""
    return ModelInfo(
        symbol=symbol,
        version=version,
        name=f"minutebook-{symbol}",
        run_id=run_id or f"run-{version}",
        trained_at=NOON - timedelta(hours=9),
        trained_from=NOON - timedelta(days=30),
        trained_to=NOON - timedelta(hours=9),
        data_digest="00ff",
        feature_version=FEATURE_VERSION,
        horizons=(1, 5),
    )


def forecast(
    made_at: datetime, horizons: Sequence[int], base: str = "60000.00", version: int = 1, symbol: str = SYMBOL
) -> Forecast:
    """A forecast around its base price: its bounds are 10, 20, 30 … away, from level to level."""
    price = Decimal(base)
    rows = [
        ForecastRow(
            minutes,
            price,
            {level: (price - 10 * step, price + 10 * step) for step, level in enumerate(LEVELS, 1)},
            0.001 * math.sqrt(minutes),
            0.5,
        )
        for minutes in horizons
    ]
    return Forecast(symbol, made_at, price, version, rows)


async def trained_just_now(owner: AnyConnection, symbol: str = SYMBOL) -> None:
    """Let no training be due."""
    await owner.execute(
        "INSERT INTO trainings (symbol, started_at, ended_at, outcome, reason, version)"
        " VALUES ($1, now(), now(), 'promoted', 'a test', 1)",
        symbol,
    )
