"""Decides when a symbol is trained, and has it done by a process of its own."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from predictor.queries.record import select_is_filled
from predictor.queries.trainings import (
    LastTraining,
    TrainingOutcome,
    insert_training,
    select_is_explained,
    select_last_training,
)
from predictor.registry.champions import Champions
from predictor.schedule import Schedule
from predictor.service.retry_pause import RetryPause
from predictor.service.training_process import run_training
from predictor.settings import PredictorSettings
from shared.database.connection import Connection
from shared.database.database import Database
from shared.instant import MINUTE, to_text, utc_now
from shared.logging import get_logger

log = get_logger(__name__)

# The first model waits for the record to be filled, since the next one may be a day away; but not for ever.
FILLING_SECONDS_MAX = 600.0
_WITHOUT_CHAMPION = 10 * MINUTE


def is_due(last: LastTraining | None, schedule: Schedule, now: datetime, *, has_no_champion: bool) -> bool:
    """Whether a training is due: a scheduled time has passed since the last one began, or there is no champion.

    One that leaves the symbol without a champion is not followed by the next at once. Nothing is due where the schedule
    is off: models are then trained by other means, the first one too.
    """
    scheduled = schedule.last_until(now)
    if scheduled is None:
        return False
    if last is None or scheduled > last.started_at:
        return True
    return has_no_champion and now - last.started_at >= _WITHOUT_CHAMPION


class Trainer:
    """Trains what is due, one symbol at a time."""

    def __init__(
        self,
        settings: PredictorSettings,
        database: Database,
        champions: Champions,
        stop: asyncio.Event,
        on_trained: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._database = database
        self._champions = champions
        self._stop = stop
        self._schedule = Schedule(settings.schedule)
        self._pauses = {symbol: RetryPause() for symbol in settings.symbols}
        self._waiting_since = time.monotonic()
        self._trained: set[str] = set()
        self.training: str | None = None
        self._on_trained = on_trained

    def next_at(self, symbol: str) -> datetime | None:
        """Return when the symbol is trained next, as far as is known: a failed training is tried again before."""
        scheduled = self._schedule.next_after(utc_now())
        again = self._pauses[symbol].until
        return min(scheduled, again) if scheduled and again else scheduled

    def why_no_model(self, symbol: str) -> str:
        """Say what stands between a symbol and its first model."""
        again = self._pauses[symbol].until
        if self.training == symbol:
            return f"The first model of {symbol} is being trained."
        if again:
            return f"The training of {symbol} failed and is tried again at {to_text(again)}."
        if symbol in self._trained:
            return f"The model of {symbol} is trained and is being taken up."
        if self._champions.registry_reason:
            return f"{symbol} has no model yet. {self._champions.registry_reason}"
        if self._schedule.is_off:
            return f"{symbol} has no model yet; PREDICTOR_SCHEDULE is off, so that `train` has to be run."
        return f"{symbol} has no model yet; it is trained once the record is filled."

    async def train_due(self) -> None:
        """Train each symbol that is due; raises DatabaseUnavailableError."""
        if self._schedule.is_off:
            return
        # The task that takes new models up was woken when their training ended.
        self._trained.clear()
        for symbol in self._settings.symbols:
            # Without the registry the work would be for nothing.
            if self._stop.is_set() or self._pauses[symbol].seconds or self._champions.registry_reason is not None:
                continue
            if await self._is_due(symbol):
                await self._train(symbol)

    async def _is_due(self, symbol: str) -> bool:
        async def select(connection: Connection) -> tuple[LastTraining | None, bool]:
            last = await select_last_training(connection, symbol)
            return last, last is not None or await select_is_filled(connection, symbol)

        last, is_filled = await self._database.read(select)
        is_patient = time.monotonic() - self._waiting_since < FILLING_SECONDS_MAX
        has_none = self._champions.has_none(symbol)
        return is_due(last, self._schedule, utc_now(), has_no_champion=has_none) and (is_filled or not is_patient)

    async def _train(self, symbol: str) -> None:
        started_at = utc_now()
        self.training = symbol
        log.info("training_begins", symbol=symbol)
        try:
            ending = await run_training(self._settings, symbol, self._stop)
        finally:
            self.training = None
        if ending is None:
            self._pauses[symbol].reset()
            self._trained.add(symbol)
            self._on_trained()
            return
        if self._stop.is_set():
            return
        pause = self._pauses[symbol].begin()
        log.warning("training_failed", symbol=symbol, reason=ending, again_in_seconds=pause)
        # The process records why it failed; one that could not, or had no time to, leaves that to this one.
        if not await self._database.read(partial(select_is_explained, symbol=symbol, since=started_at)):
            outcome = TrainingOutcome("failed", f"The training ended early: {ending}.")
            await self._database.write(partial(insert_training, symbol=symbol, started_at=started_at, outcome=outcome))
