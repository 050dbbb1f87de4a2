"""A predictor inside a test, with a registry and models of the test's own making."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from predictor.forecast.forecaster import Distribution
from predictor.model_info import ModelInfo
from predictor.queries.database import open_predictor_database
from predictor.registry.cache import ModelCache
from predictor.registry.champions import Champions
from predictor.service.service import Service
from predictor.settings import PredictorSettings
from shared.bars import Bars
from shared.errors import InputsMissingError, ModelUnusableError, RegistryUnavailableError
from shared.levels import LEVELS
from tests.integration.predictor_record import SYMBOL

NOBODY = "http://127.0.0.1:9"


class SteadyForecaster:
    """Says that the price stays, give or take; a model's file is its half width at 80 %, as text."""

    def __init__(self, content: bytes) -> None:
        try:
            self.half_width = float(content)
        except ValueError as error:
            raise ModelUnusableError("The model's file is none.") from error
        self.seen: list[Bars] = []
        self.lacks_inputs = False

    def forecast(self, bars: Bars) -> Sequence[Distribution]:
        """As a real one would; it remembers what it was shown."""
        self.seen.append(bars)
        if self.lacks_inputs:
            raise InputsMissingError("The last hour is not whole.")
        if self.half_width < 0:
            raise ZeroDivisionError
        price = float(bars.close[-1])
        bounds = {level: (price - part, price + part) for level, part in self._parts().items()}
        return [Distribution(minutes, price, bounds, 0.001 * minutes, 0.5) for minutes in (1, 5)]

    def _parts(self) -> dict[int, float]:
        return {level: self.half_width * step / 2 for step, level in enumerate(LEVELS, 1)}


class StandInRegistry:
    """A registry whose champions a test names; it may be away, or hang."""

    def __init__(self) -> None:
        self.champions: dict[str, ModelInfo] = {}
        self.files: dict[int, bytes] = {}
        self.is_away = False
        self.answers = threading.Event()
        self.answers.set()
        self.fetched = 0

    def promote(self, info: ModelInfo, content: bytes) -> None:
        """Make this the champion."""
        self.files[info.version] = content
        self.champions[info.symbol] = info

    def find_champion(self, symbol: str) -> ModelInfo | None:
        """As the real one."""
        self.answers.wait()
        if self.is_away:
            raise RegistryUnavailableError("The model registry does not answer.")
        return self.champions.get(symbol)

    def fetch(self, info: ModelInfo) -> bytes:
        """As the real one."""
        if self.is_away:
            raise RegistryUnavailableError("The model registry does not answer.")
        self.fetched += 1
        return self.files[info.version]


def predictor_settings(database_url: str, folder: Path, **values: object) -> PredictorSettings:
    """Settings of a predictor whose real registry is nowhere, and whose schedule is far away."""
    defaults: dict[str, object] = {
        "database_url": SecretStr(database_url),
        "symbols": (SYMBOL,),
        "horizons": (1, 5),
        "schedule": "0 0 29 2 *",
        "mlflow_tracking_uri": NOBODY,
        "cache": folder / "models",
        "_env_file": None,
    }
    return PredictorSettings.load(**(defaults | values))


def make_champions(settings: PredictorSettings, registry: StandInRegistry) -> Champions:
    """What serves, with that registry's models."""
    cache = ModelCache(settings.cache)
    return Champions(settings.symbols, settings.horizons, cache, registry, SteadyForecaster)


@asynccontextmanager
async def predicting(settings: PredictorSettings, registry: StandInRegistry) -> AsyncIterator[Champions]:
    """Run a predictor as long as the block runs; what it raises is raised."""
    stop = asyncio.Event()
    champions = make_champions(settings, registry)
    async with (
        open_predictor_database(settings.database_url.get_secret_value()) as database,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(Service(settings, database, champions, stop).run())
        try:
            yield champions
        finally:
            stop.set()
