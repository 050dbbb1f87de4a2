"""The predictor's life: it forecasts and scores each minute, keeps up with the champion, and has models trained.

Each of these goes on while another cannot: without Postgres all wait for it, without the registry only training does.
"""

import asyncio
import time
from datetime import datetime
from functools import partial

from predictor.champion import Champions
from predictor.database import Database, open_database
from predictor.forecasting import SymbolForecaster
from predictor.listener import listen
from predictor.lookout import Lookout
from predictor.registry import Registry
from predictor.scoring import score_due
from predictor.settings import PredictorSettings
from predictor.status import Heartbeat, Status, upsert_status
from predictor.trainer import Trainer
from shared.errors import DatabaseUnavailableError
from shared.health import shown_alive
from shared.lifecycle import stop_on_signals, wait
from shared.logging import get_logger
from shared.settings import HealthSettings

log = get_logger(__name__)

# A notification wakes these at once; one that was lost costs so much.
MINUTE_SECONDS = 1.0
SCORE_SECONDS = 10.0
REGISTRY_SECONDS = 20.0
# While a symbol has no model, or the registry has not been there yet.
REGISTRY_HASTE_SECONDS = 2.0
TRAINING_SECONDS = 2.0
BEAT_SECONDS = 5.0
STATUS_SECONDS = 10.0
# A wrong URL should be said soon; once Postgres was there, it is waited for without end.
FIRST_CONNECTION_SECONDS = 10.0
_RETRY_SECONDS = 0.5
# SIGTERM is to be obeyed within 10 seconds; so long may what has begun go on.
GRACE_SECONDS = 5.0


class Service:
    """One predictor process."""

    def __init__(
        self, settings: PredictorSettings, database: Database, champions: Champions, stop: asyncio.Event
    ) -> None:
        self._settings = settings
        self._database = database
        self._champions = champions
        self._stop = stop
        self._heartbeat = Heartbeat()
        self._told: dict[str, tuple[Status, float]] = {}
        self._registry = Lookout("registry", self._look_at_registry, REGISTRY_HASTE_SECONDS)
        self._trainer = Trainer(settings, database, champions, stop, on_trained=self._registry.wake)
        self._minutes = {symbol: self._minute_lookouts(symbol) for symbol in settings.symbols}

    async def run(self) -> None:
        """Work until `stop`; raises DatabaseError when Postgres never answered, or refuses us."""
        await self._greet()
        await self._champions.load_cached()
        lookouts = [
            *(lookout for each in self._minutes.values() for lookout in each),
            self._registry,
            Lookout("training", self._trainer.look, TRAINING_SECONDS),
            Lookout("heartbeat", self._beat, BEAT_SECONDS),
        ]
        log.info("predictor_ready", symbols=self._settings.symbols, horizons=self._settings.horizons)
        try:
            async with asyncio.TaskGroup() as tasks:
                url = self._settings.database_url.get_secret_value()
                running = [tasks.create_task(lookout.run(self._stop), name=lookout.name) for lookout in lookouts]
                running.append(tasks.create_task(listen(url, self._hear_tick, self._stop), name="listener"))
                # Should a task fail, its group cancels this wait and ends the others.
                await self._stop.wait()
                for lookout in lookouts:
                    lookout.wake()
                _, late = await asyncio.wait(running, timeout=GRACE_SECONDS)
                for task in late:
                    task.cancel()
        except ExceptionGroup as group:
            raise _first(group) from group

    async def _greet(self) -> None:
        """Wait for Postgres, but not for long: nobody has seen it answer yet."""
        until = time.monotonic() + FIRST_CONNECTION_SECONDS
        while not self._stop.is_set():
            try:
                await self._database.write(self._heartbeat.forget_others)
            except DatabaseUnavailableError:
                if time.monotonic() >= until:
                    raise
                await wait(self._stop, _RETRY_SECONDS)
            else:
                return

    def _minute_lookouts(self, symbol: str) -> tuple[Lookout, Lookout]:
        forecaster = SymbolForecaster(
            symbol, self._database, self._champions, partial(self._trainer.why_no_model, symbol)
        )

        async def forecast() -> None:
            verdict = await forecaster.look()
            await self._tell(symbol, verdict.made_at, verdict.reason)

        async def score() -> None:
            scored = await self._database.write(partial(score_due, symbol=symbol))
            if scored:
                log.debug("forecasts_scored", symbol=symbol, count=scored)

        return Lookout(f"forecast {symbol}", forecast, MINUTE_SECONDS), Lookout(f"score {symbol}", score, SCORE_SECONDS)

    async def _tell(self, symbol: str, made_at: datetime | None, reason: str | None) -> None:
        """Write the status down where it has changed, and now and then to show that it still holds."""
        champion = self._champions.get(symbol)
        status = Status(
            symbol,
            reason,
            made_at,
            champion.info.version if champion else None,
            self._champions.registry_reason,
            self._trainer.next_at(symbol),
        )
        told, told_at = self._told.get(symbol, (None, 0.0))
        if told == status and time.monotonic() - told_at < STATUS_SECONDS:
            return
        await self._database.write(partial(upsert_status, status=status))
        self._told[symbol] = status, time.monotonic()
        if told is None or told.reason != reason:
            log.info("forecasts_begin" if reason is None else "no_forecast", symbol=symbol, reason=reason)

    async def _look_at_registry(self) -> None:
        await self._champions.look()
        is_content = self._champions.registry_reason is None and all(map(self._champions.get, self._settings.symbols))
        self._registry.every_seconds = REGISTRY_SECONDS if is_content else REGISTRY_HASTE_SECONDS

    async def _beat(self) -> None:
        champions = {symbol: self._champions.get(symbol) for symbol in self._settings.symbols}
        details = {
            "symbols": self._settings.symbols,
            "champions": {symbol: champion.info.version for symbol, champion in champions.items() if champion},
            "training": self._trainer.training,
            "registry_answers": self._champions.registry_reason is None,
        }
        await self._database.write(partial(self._heartbeat.beat, details=details))

    def _hear_tick(self, symbol: str) -> None:
        for lookout in self._minutes.get(symbol, ()):
            lookout.wake()


async def run_service(settings: PredictorSettings) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    registry = Registry(settings.registry_uri(), settings.mlflow_schema)
    champions = Champions(settings, registry)
    async with (
        shown_alive(HealthSettings.load().file),
        open_database(settings.database_url.get_secret_value()) as database,
    ):
        await Service(settings, database, champions, stop).run()
    log.info("predictor_stopped")


def _first(error: Exception) -> Exception:
    """Return what made a group of tasks end."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
