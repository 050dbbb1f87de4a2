"""The model of each symbol that serves now: the registry's champion, or the last one that this disk knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from predictor.model_info import ModelInfo
from predictor.registry.bounded_call import BoundedCaller
from predictor.registry.cache import ModelCache
from shared.bars import Bars
from shared.errors import MinutebookError, ModelUnusableError, RegistryError
from shared.feature_table import FEATURE_VERSION
from shared.logging import get_logger

if TYPE_CHECKING:
    # With it comes scikit-learn, which most commands can do without.
    from predictor.forecast.forecaster import Distribution

log = get_logger(__name__)

# One question, with the client's own bounds below it; a model is a file of some megabytes.
QUESTION_SECONDS = 20.0
FETCH_SECONDS = 60.0


class DistributionForecaster(Protocol):
    """Makes forecasts at the close of the last bar; raises InputsMissingError where they cannot be made."""

    def forecast(self, bars: Bars) -> "Sequence[Distribution]":
        """Return a distribution for each horizon."""
        ...


class Registry(Protocol):
    """Where models are kept; every call may take long, and raises RegistryError."""

    def find_champion(self, symbol: str) -> ModelInfo | None:
        """Return which model is a symbol's champion; None where it has none."""
        ...

    def fetch(self, info: ModelInfo) -> bytes:
        """Return a model's file."""
        ...


def load_forecaster(content: bytes) -> DistributionForecaster:
    """Make a model's file into what forecasts; raises ModelUnusableError for a file that is none."""
    from predictor.forecast.forecaster import Forecaster  # noqa: PLC0415
    from predictor.registry.model_file import load_champion  # noqa: PLC0415

    return Forecaster(load_champion(content))


@dataclass(frozen=True)
class ServingModel:
    """A registered model that is ready to forecast."""

    info: ModelInfo
    forecaster: DistributionForecaster


def is_usable(info: ModelInfo) -> bool:
    """Whether a model was trained on the features as they are computed now."""
    return info.feature_version == FEATURE_VERSION


class Champions:
    """Keeps up with the registry and goes on with what it has when that is away."""

    def __init__(
        self,
        symbols: Sequence[str],
        horizons: Sequence[int],
        cache: ModelCache,
        registry: Registry,
        load: Callable[[bytes], DistributionForecaster] = load_forecaster,
    ) -> None:
        self._symbols, self._horizons = tuple(symbols), tuple(horizons)
        self._registry = registry
        self._cache = cache
        self._load = load
        self._serving: dict[str, ServingModel] = {}
        self._known: dict[str, ModelInfo | None] = {}
        self._unusable: dict[str, ModelInfo] = {}
        self._is_away = False
        self._caller = BoundedCaller("registry")
        self.registry_reason: str | None = "The model registry is being asked for the first time."

    def get(self, symbol: str) -> ServingModel | None:
        """Return what serves now."""
        return self._serving.get(symbol)

    def has_none(self, symbol: str) -> bool:
        """Whether the registry answers and has no champion, or none that fits this version and the horizons wanted."""
        if self.registry_reason is not None or symbol not in self._known:
            return False
        known = self._known[symbol]
        return (
            known is None
            or not is_usable(known)
            or known == self._unusable.get(symbol)
            or known.horizons != self._horizons
        )

    async def load_cached(self) -> None:
        """Begin with what this disk has."""
        for symbol in self._symbols:
            try:
                found = await self._caller.call(partial(self._read_cached, symbol), FETCH_SECONDS)
            except (MinutebookError, TimeoutError) as error:
                log.warning("cached_champion_unusable", symbol=symbol, reason=str(error))
                continue
            if found is not None:
                self._serve(found, source="cache")

    async def update(self) -> None:
        """Ask the registry who the champions are, and take up those that are new."""
        for symbol in self._symbols:
            try:
                await self._update(symbol)
            except ModelUnusableError as error:
                # Nothing is wrong with the registry: another model is to be trained.
                log.warning("champion_unusable", symbol=symbol, reason=str(error))
            except RegistryError as error:
                self._note(str(error))
                return
            except TimeoutError:
                self._note("The model registry does not answer in time; check PREDICTOR_MLFLOW_TRACKING_URI.")
                return
        self._note(None)

    async def _update(self, symbol: str) -> None:
        info = await self._caller.call(partial(self._find, symbol), QUESTION_SECONDS)
        self._known[symbol] = info
        if info is None or not is_usable(info) or not self._is_new(info) or info == self._unusable.get(symbol):
            return
        try:
            self._serve(await self._fetch(info), source="registry")
        except ModelUnusableError:
            # It is not fetched again: the file stays what it is.
            self._unusable[symbol] = info
            raise

    def _find(self, symbol: str) -> ModelInfo | None:
        try:
            return self._registry.find_champion(symbol)
        except ModelUnusableError as error:
            log.debug("champion_is_not_ours", symbol=symbol, reason=str(error))
            return None

    async def _fetch(self, info: ModelInfo) -> ServingModel:
        def fetch() -> ServingModel:
            content = self._registry.fetch(info)
            champion = ServingModel(info, self._load(content))
            try:
                self._cache.store(info, content)
            except ModelUnusableError as error:
                log.warning("champion_not_kept", symbol=info.symbol, reason=str(error))
            return champion

        return await self._caller.call(fetch, FETCH_SECONDS)

    def _read_cached(self, symbol: str) -> ServingModel | None:
        found = self._cache.load(symbol)
        if found is None:
            return None
        info, content = found
        if not is_usable(info):
            raise ModelUnusableError(
                f"The kept model was trained on features of version {info.feature_version}, and this is "
                f"{FEATURE_VERSION}: another one has to be trained."
            )
        return ServingModel(info, self._load(content))

    def _is_new(self, info: ModelInfo) -> bool:
        serving = self._serving.get(info.symbol)
        return serving is None or (serving.info.version, serving.info.run_id) != (info.version, info.run_id)

    def _serve(self, champion: ServingModel, source: str) -> None:
        info = champion.info
        self._serving[info.symbol] = champion
        log.info("champion_taken_up", symbol=info.symbol, version=info.version, run_id=info.run_id, source=source)

    def _note(self, reason: str | None) -> None:
        """Keep why the registry cannot be asked, None when it can; said when that begins and ends."""
        if reason is not None and not self._is_away:
            log.warning("registry_away", reason=reason)
        elif reason is None and self._is_away:
            log.info("registry_answers")
        self._is_away = reason is not None
        self.registry_reason = reason
