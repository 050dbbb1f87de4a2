"""Makes the forecast of each closed minute of a symbol and writes it once, or says why there is none."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import NamedTuple

from predictor.forecast.forecaster import HISTORY_DAYS, Distribution
from predictor.queries.forecasts import FRESH, Forecast, ForecastRow, insert_forecast, select_is_forecast
from predictor.queries.models import adopt_model
from predictor.queries.record import Base, find_made_at, select_bars, select_base, select_newest
from predictor.registry.champions import Champions, ServingModel
from shared.bars import Bars
from shared.database.connection import Connection
from shared.database.database import Database
from shared.errors import InputsMissingError
from shared.instant import DAY, to_text
from shared.logging import get_logger

log = get_logger(__name__)


class ForecastAttempt(NamedTuple):
    """Whether the newest minute has its forecast: `reason` says why not, None when it has."""

    made_at: datetime | None
    reason: str | None
    is_new: bool = False


class SymbolForecaster:
    """Forecasts each minute of one symbol as it closes."""

    def __init__(self, symbol: str, database: Database, champions: Champions, why_no_model: Callable[[], str]) -> None:
        self._symbol = symbol
        self._why_no_model = why_no_model
        self._database = database
        self._champions = champions
        self._settled: tuple[datetime, ServingModel] | None = None
        self._last = ForecastAttempt(None, None)

    async def forecast_newest(self) -> ForecastAttempt:
        """Forecast the newest minute if that is still to be done; raises DatabaseUnavailableError."""
        newest = await self._database.read(partial(select_newest, symbol=self._symbol))
        if newest.made_at is None:
            return ForecastAttempt(None, f"The record has no minute of {self._symbol} yet.")
        if newest.now >= newest.made_at + FRESH:
            closed = to_text(newest.made_at)
            return ForecastAttempt(
                None, f"The newest minute of {self._symbol} closed at {closed}; the next ones are missing."
            )
        champion = self._champions.get(self._symbol)
        if champion is None:
            return ForecastAttempt(None, self._why_no_model())
        if self._settled == (newest.made_at, champion):
            return self._last._replace(is_new=False)
        self._last = await self._forecast(newest.made_at, champion)
        self._settled = (newest.made_at, champion)
        return self._last

    async def _forecast(self, made_at: datetime, champion: ServingModel) -> ForecastAttempt:
        bars, base = await self._read(made_at)
        if base is None:
            return ForecastAttempt(None, f"The minute that closed at {to_text(made_at)} is not in the record.")
        try:
            distributions = await asyncio.to_thread(champion.forecaster.forecast, bars)
        except InputsMissingError as error:
            return ForecastAttempt(None, str(error))
        except Exception:
            # The record is still scored, and another model may do better.
            log.exception("forecast_failed", symbol=self._symbol, made_at=to_text(made_at))
            return ForecastAttempt(None, "The forecast failed by a fault of the program; its log says where.")
        rows = [round_row(distribution, base.decimals) for distribution in distributions]
        forecast = Forecast(self._symbol, made_at, base.price, champion.info.version, rows)
        written, is_there = await self._write(forecast, champion)
        if not is_there:
            return ForecastAttempt(None, f"The forecast of {to_text(made_at)} came later than its targets.")
        if written:
            log.info("forecast_made", symbol=self._symbol, made_at=to_text(made_at), horizons=written)
        return ForecastAttempt(made_at, None, is_new=bool(written))

    async def _read(self, made_at: datetime) -> tuple[Bars, Base | None]:
        async def select(connection: Connection) -> tuple[Bars, Base | None]:
            bars = await select_bars(connection, self._symbol, made_at - HISTORY_DAYS * DAY, made_at)
            return bars, await select_base(connection, self._symbol, made_at)

        bars, base = await self._database.read(select, snapshot=True)
        return bars, base if len(bars) and find_made_at(bars) == made_at else None

    async def _write(self, forecast: Forecast, champion: ServingModel) -> tuple[list[int], bool]:
        async def insert(connection: Connection) -> tuple[list[int], bool]:
            await adopt_model(connection, champion.info)
            written = await insert_forecast(connection, forecast)
            return written, bool(written) or await select_is_forecast(connection, self._symbol, forecast.made_at)

        return await self._database.write(insert)


def round_row(distribution: Distribution, decimals: int) -> ForecastRow:
    """Write a distribution's prices with as many decimals as the symbol's; rounding keeps intervals nested."""
    unit = Decimal(1).scaleb(-decimals)

    def price(value: float) -> Decimal:
        # The least price there is, rather than none, where an interval of a very cheap coin rounds to 0.
        return max(unit, Decimal(value).quantize(unit, ROUND_HALF_EVEN))

    return ForecastRow(
        horizon_minutes=distribution.horizon_minutes,
        point=price(distribution.point),
        intervals={level: (price(lower), price(upper)) for level, (lower, upper) in distribution.intervals.items()},
        volatility=distribution.volatility,
        probability_up=distribution.probability_up,
    )
