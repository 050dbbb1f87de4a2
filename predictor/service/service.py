"""The predictor's life: it forecasts and scores each minute, keeps up with the champion, and has models trained.

Each of these goes on while another cannot: without Postgres all wait for it, without the registry only training does.
"""

import asyncio
import time
from datetime import datetime
from functools import partial

from predictor.queries.database import open_predictor_database
from predictor.queries.scores import upsert_scores
from predictor.queries.status import SymbolStatus, upsert_status
from predictor.registry.cache import ModelCache
from predictor.registry.champions import Champions
from predictor.registry.mlflow_registry import MlflowRegistry
from predictor.service.forecasting import SymbolForecaster
from predictor.service.listener import listen
from predictor.service.repeated_task import RepeatedTask
from predictor.service.trainer import Trainer
from predictor.settings import PredictorSettings
from shared.database.database import Database
from shared.database.heartbeats import delete_old_heartbeats, upsert_heartbeat
from shared.error_groups import find_cause
from shared.errors import DatabaseUnavailableError
from shared.health import shown_alive
from shared.instance import make_instance_name
from shared.instant import utc_now
from shared.lifecycle import FIRST_CONNECTION_SECONDS, stop_on_signals, wait
from shared.logging import get_logger
from shared.settings import HealthSettings

log = get_logger(__name__)

_NAME = "predictor"
# A notification wakes these at once; one that was lost costs so much.
MINUTE_SECONDS = 1.0
SCORE_SECONDS = 10.0
REGISTRY_SECONDS = 20.0
# While a symbol has no model, or the registry has not been there yet.
REGISTRY_SECONDS_WITHOUT_MODEL = 2.0
TRAINING_SECONDS = 2.0
BEAT_SECONDS = 5.0
STATUS_SECONDS = 10.0
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
        self._instance, self._started_at = make_instance_name(), utc_now()
        self._written: dict[str, tuple[SymbolStatus, float]] = {}
        """Of each symbol the status that was written last, and when."""
        self._registry = RepeatedTask("registry", self._update_champions, REGISTRY_SECONDS_WITHOUT_MODEL)
        self._trainer = Trainer(settings, database, champions, stop, on_trained=self._registry.wake)
        self._minutes = {symbol: self._make_minute_tasks(symbol) for symbol in settings.symbols}

    async def run(self) -> None:
        """Work until `stop`; raises DatabaseError when Postgres never answered, or refuses us."""
        await self._wait_for_postgres()
        await self._champions.load_cached()
        repeated = [
            *(task for tasks in self._minutes.values() for task in tasks),
            self._registry,
            RepeatedTask("training", self._trainer.train_due, TRAINING_SECONDS),
            RepeatedTask("heartbeat", self._write_heartbeat, BEAT_SECONDS),
        ]
        log.info("predictor_ready", symbols=self._settings.symbols, horizons=self._settings.horizons)
        try:
            async with asyncio.TaskGroup() as group:
                url = self._settings.database_url.get_secret_value()
                running = [group.create_task(task.run(self._stop), name=task.name) for task in repeated]
                running.append(group.create_task(listen(url, self._wake_for_tick, self._stop), name="listener"))
                # Should a task fail, its group cancels this wait and ends the others.
                await self._stop.wait()
                for task in repeated:
                    task.wake()
                _, late = await asyncio.wait(running, timeout=GRACE_SECONDS)
                for unfinished in late:
                    unfinished.cancel()
        except ExceptionGroup as errors:
            raise find_cause(errors) from errors

    async def _wait_for_postgres(self) -> None:
        """Wait until Postgres answers for the first time, but not for long: the URL may be wrong."""
        until = time.monotonic() + FIRST_CONNECTION_SECONDS
        while not self._stop.is_set():
            try:
                await self._database.write(partial(delete_old_heartbeats, service=_NAME))
            except DatabaseUnavailableError:
                if time.monotonic() >= until:
                    raise
                await wait(self._stop, _RETRY_SECONDS)
            else:
                return

    def _make_minute_tasks(self, symbol: str) -> tuple[RepeatedTask, RepeatedTask]:
        why_no_model = partial(self._trainer.why_no_model, symbol)
        forecaster = SymbolForecaster(symbol, self._database, self._champions, why_no_model)

        async def forecast() -> None:
            attempt = await forecaster.forecast_newest()
            await self._write_status(symbol, attempt.made_at, attempt.reason)

        async def score() -> None:
            scored = await self._database.write(partial(upsert_scores, symbol=symbol))
            if scored:
                log.debug("forecasts_scored", symbol=symbol, count=scored)

        return (
            RepeatedTask(f"forecast {symbol}", forecast, MINUTE_SECONDS),
            RepeatedTask(f"score {symbol}", score, SCORE_SECONDS),
        )

    async def _write_status(self, symbol: str, made_at: datetime | None, reason: str | None) -> None:
        """Write the status where it has changed, and now and then to show that it still holds."""
        serving = self._champions.get(symbol)
        status = SymbolStatus(
            symbol,
            reason,
            made_at,
            serving.info.version if serving else None,
            self._champions.registry_reason,
            self._trainer.next_at(symbol),
        )
        written, written_at = self._written.get(symbol, (None, 0.0))
        if written == status and time.monotonic() - written_at < STATUS_SECONDS:
            return
        await self._database.write(partial(upsert_status, status=status))
        self._written[symbol] = status, time.monotonic()
        if written is None or written.reason != reason:
            log.info("forecasts_begin" if reason is None else "no_forecast", symbol=symbol, reason=reason)

    async def _update_champions(self) -> None:
        await self._champions.update()
        has_all = self._champions.registry_reason is None and all(map(self._champions.get, self._settings.symbols))
        self._registry.set_period(REGISTRY_SECONDS if has_all else REGISTRY_SECONDS_WITHOUT_MODEL)

    async def _write_heartbeat(self) -> None:
        serving = {symbol: self._champions.get(symbol) for symbol in self._settings.symbols}
        details = {
            "symbols": self._settings.symbols,
            "champions": {symbol: model.info.version for symbol, model in serving.items() if model},
            "training": self._trainer.training,
            "registry_answers": self._champions.registry_reason is None,
        }
        # Predictors have no leader, so none is one.
        await self._database.write(
            lambda connection: upsert_heartbeat(connection, _NAME, self._instance, self._started_at, details)
        )

    def _wake_for_tick(self, symbol: str) -> None:
        for task in self._minutes.get(symbol, ()):
            task.wake()


async def run_service(settings: PredictorSettings) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    registry = MlflowRegistry(settings.registry_uri(), settings.mlflow_schema)
    champions = Champions(settings.symbols, settings.horizons, ModelCache(settings.cache), registry)
    async with (
        shown_alive(HealthSettings.load().file),
        open_predictor_database(settings.database_url.get_secret_value()) as database,
    ):
        await Service(settings, database, champions, stop).run()
    log.info("predictor_stopped")
