"""`python -m predictor forecast`: forecasts the newest minute, prints that, and ends."""

import sys
from collections.abc import Iterator
from functools import partial

from predictor.queries.database import open_predictor_database
from predictor.queries.forecasts import Forecast, select_forecast
from predictor.registry.cache import ModelCache
from predictor.registry.champions import Champions
from predictor.registry.mlflow_registry import MlflowRegistry
from predictor.service.forecasting import SymbolForecaster
from predictor.settings import PredictorSettings
from shared.command import EXIT_FAILED, EXIT_OK
from shared.instant import to_text

# Intervals that hold the price less often are not printed, so that a line stays short.
_LEAST_PRINTED = 80


async def run_forecast(settings: PredictorSettings) -> int:
    """Forecast each symbol's newest minute and print that; a symbol without a forecast is said on stderr."""
    registry = MlflowRegistry(settings.registry_uri(), settings.mlflow_schema)
    champions = Champions(settings.symbols, settings.horizons, ModelCache(settings.cache), registry)
    await champions.load_cached()
    await champions.update()
    code = EXIT_OK
    async with open_predictor_database(settings.database_url.get_secret_value()) as database:
        for symbol in settings.symbols:
            why_no_model = partial(_why_no_model, symbol, champions)
            attempt = await SymbolForecaster(symbol, database, champions, why_no_model).forecast_newest()
            if attempt.made_at is None:
                sys.stderr.write(f"predictor: {symbol}: {attempt.reason}\n")
                code = EXIT_FAILED
                continue
            forecast = await database.read(partial(select_forecast, symbol=symbol, made_at=attempt.made_at))
            if forecast is not None:
                sys.stdout.writelines(_write_lines(forecast))
    return code


def _write_lines(forecast: Forecast) -> Iterator[str]:
    made_at = to_text(forecast.made_at)
    yield f"{forecast.symbol} at {made_at}: {forecast.base_price} (model {forecast.model_version})\n"
    for row in forecast.rows:
        intervals = [
            f"  {level} %: {lower} to {upper}"
            for level, (lower, upper) in row.intervals.items()
            if level >= _LEAST_PRINTED
        ]
        yield f"  in {row.horizon_minutes:>4} min  {row.point}{''.join(intervals)}\n"


def _why_no_model(symbol: str, champions: Champions) -> str:
    reason = champions.registry_reason or "The registry has none; run `python -m predictor train`."
    return f"{symbol} has no model yet. {reason}"
