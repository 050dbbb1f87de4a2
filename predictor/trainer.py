"""Decides when a symbol is trained, and has it done by a child process: `python -m predictor train`."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from predictor.champion import Champions
from predictor.database import Database
from predictor.schedule import Schedule
from predictor.settings import PredictorSettings
from predictor.store import Outcome, Training, insert_training, select_last_training
from shared.database.driver import Connection
from shared.gaps import select_gaps, select_record_range
from shared.instant import MINUTE, to_text, utc_now
from shared.logging import get_logger

log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 1800.0
# What takes so long hangs.
TRAINING_SECONDS_MAX = 1800.0
_END_SECONDS = 3.0
# The first model waits for the record to be filled, since the next one may be a day away; but not for ever.
FILLING_SECONDS_MAX = 600.0
_SHARE_FILLED = 0.99
# Minutes so new are the live collection's affair.
_LIVE = 15 * MINUTE
_RECENT = timedelta(days=365)
_WITHOUT_CHAMPION = 10 * MINUTE
_NICENESS = 10


class Pauses:
    """How long to wait after failures: twice as long each time, up to a bound."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0
        self.until: datetime | None = None

    @property
    def seconds(self) -> float:
        """How long it still lasts."""
        return max(0.0, self._until - time.monotonic())

    def fail(self) -> float:
        """Begin a pause, and return its length."""
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**self._failures)
        self._failures += 1
        self._until = time.monotonic() + pause
        self.until = utc_now().replace(microsecond=0) + timedelta(seconds=pause)
        return pause

    def succeed(self) -> None:
        """Begin small again."""
        self._failures, self._until, self.until = 0, 0.0, None


def is_due(last: Training | None, schedule: Schedule, now: datetime, *, has_no_champion: bool) -> bool:
    """Whether a training is due: a scheduled time has passed since the last one began, or there is no champion.

    One that leaves the symbol without a champion is not followed by the next at once. Nothing is due where the schedule
    is off: whoever turned it off trains by other means, the first model too.
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
        self._pauses = {symbol: Pauses() for symbol in settings.symbols}
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
            return f"No model of {symbol} is there: {self._champions.registry_reason}"
        if self._schedule.is_off:
            return f"No model of {symbol} is there yet; PREDICTOR_SCHEDULE is off, so that `train` has to be run."
        return f"No model of {symbol} is there yet; it is trained once the record is filled."

    async def look(self) -> None:
        """Train each symbol that is due; raises DatabaseUnavailableError."""
        if self._schedule.is_off:
            return
        # Whoever takes a new model up was woken when its training ended.
        self._trained.clear()
        for symbol in self._settings.symbols:
            # Without the registry the work would be for nothing.
            if self._stop.is_set() or self._pauses[symbol].seconds or self._champions.registry_reason is not None:
                continue
            if await self._is_due(symbol):
                await self._train(symbol)

    async def _is_due(self, symbol: str) -> bool:
        async def select(connection: Connection) -> tuple[Training | None, bool]:
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
            ending = await self._run_child(symbol)
        finally:
            self.training = None
        if ending is None:
            self._pauses[symbol].succeed()
            self._trained.add(symbol)
            self._on_trained()
            return
        if self._stop.is_set():
            return
        pause = self._pauses[symbol].fail()
        log.warning("training_failed", symbol=symbol, reason=ending, again_in_seconds=pause)
        if ending:
            await self._record(symbol, started_at, ending)

    async def _run_child(self, symbol: str) -> str | None:
        """Run the training to its end, or end it when we stop or it takes too long.

        Returns None when it went well, "" when it failed and has said and recorded why, and otherwise how it ended.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "predictor",
            "train",
            stdin=asyncio.subprocess.DEVNULL,
            env=os.environ | child_environment(self._settings, symbol),
        )
        # Forecasts come first. Whoever was killed at once has no priority any more.
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        ended = asyncio.create_task(process.wait(), name="training")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait((ended, stopped), timeout=TRAINING_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return _ending(ended.result())
            return "it was stopped" if stopped.done() else f"it took longer than {TRAINING_SECONDS_MAX:.0f} s"
        finally:
            stopped.cancel()
            await _end(process, ended)

    async def _record(self, symbol: str, started_at: datetime, ending: str) -> None:
        async def insert(connection: Connection) -> None:
            await insert_training(
                connection, symbol, started_at, Outcome("failed", f"The training ended early: {ending}.")
            )

        await self._database.write(insert)


async def select_is_filled(connection: Connection, symbol: str) -> bool:
    """Whether nearly all of the record's last year is there that the exchange has, the newest minutes aside."""
    record = await select_record_range(connection, symbol)
    if record is None:
        return False
    start, end = max(record.start, record.end - _RECENT), record.end - _LIVE
    if start >= end:
        return False
    gaps = await select_gaps(connection, symbol, start, end)
    ours = sum(gap.minutes for gap in gaps if gap.cause == "not_collected")
    return ours <= (1 - _SHARE_FILLED) * ((end - start) / MINUTE)


def child_environment(settings: PredictorSettings, symbol: str) -> dict[str, str]:
    """Return the variables with which a process has these settings, for one symbol."""
    return {
        "PREDICTOR_DATABASE_URL": settings.database_url.get_secret_value(),
        "PREDICTOR_SYMBOLS": symbol,
        "PREDICTOR_HORIZONS": ",".join(map(str, settings.horizons)),
        "PREDICTOR_SCHEDULE": settings.schedule,
        "PREDICTOR_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PREDICTOR_MLFLOW_SCHEMA": settings.mlflow_schema,
        "PREDICTOR_CACHE": str(settings.cache),
    }


def _ending(code: int) -> str | None:
    if code == 0:
        return None
    # It fails in its own words with 2.
    return "" if code == 2 else f"exit code {code}" if code > 0 else f"signal {-code}"


async def _end(process: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
    """End the process if it still runs, within a bound."""
    if not ended.done():
        process.terminate()
        await asyncio.wait((ended,), timeout=_END_SECONDS)
    if not ended.done():
        process.kill()
    await ended
