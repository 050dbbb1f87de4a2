"""`python -m predictor train`: one training of each symbol, from the record to the registry and back into Postgres.

The service runs it as a child, so that memory comes back and what hangs can be ended; a Job runs the same.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from predictor.forecast.champion import Champion
from predictor.forecast.training import HISTORY_MS_MAX, Training, train
from predictor.model_info import ModelInfo
from predictor.queries.models import Promotion, upsert_model
from predictor.queries.record import select_bars, select_newest
from predictor.queries.trainings import TrainingOutcome, insert_training, lock_training
from predictor.registry.champions import is_usable
from predictor.registry.mlflow_registry import MlflowRegistry
from predictor.settings import PredictorSettings
from shared.backoff import Backoff
from shared.bars import Bars
from shared.command import EXIT_FAILED, EXIT_OK
from shared.database.connection import Connection
from shared.database.database import Bounds, Database, open_database
from shared.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    MinutebookError,
    ModelUnusableError,
    TrainingUnderWayError,
    UsageError,
)
from shared.instant import utc_now
from shared.logging import get_logger

log = get_logger(__name__)

_STATEMENT_SECONDS = 60.0
_BOUNDS = Bounds(pool_size=1, work_seconds=_STATEMENT_SECONDS, statement_seconds=_STATEMENT_SECONDS)
_SESSION = {"statement_timeout": f"{_STATEMENT_SECONDS:.0f}s"}
# A model that is registered should be known here too, even if Postgres is being restarted just now.
_PATIENCE_SECONDS = 60.0
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 5.0


def choose_symbols(symbols: tuple[str, ...], index: int | None) -> tuple[str, ...]:
    """Return the symbol of that place among them, or all without one; raises UsageError where there is none."""
    if index is None:
        return symbols
    if not 0 <= index < len(symbols):
        raise UsageError(
            f"--symbol-index is {index}, and PREDICTOR_SYMBOLS names {len(symbols)}: it must be from 0 to "
            f"{len(symbols) - 1}."
        )
    return symbols[index : index + 1]


async def run_train(settings: PredictorSettings, symbol_index: int | None = None) -> int:
    """Train all symbols, or the one of that place in PREDICTOR_SYMBOLS; returns the exit code.

    It is not 0 where one of them failed, which is said on stderr.
    """
    symbols = choose_symbols(settings.symbols, symbol_index)
    registry = MlflowRegistry(settings.registry_uri(), settings.mlflow_schema)
    url = settings.database_url.get_secret_value()
    async with open_database(url, "minutebook-predictor training", _BOUNDS, _SESSION) as database:
        return await _train_symbols(database, settings, registry, symbols)


async def _train_symbols(
    database: Database, settings: PredictorSettings, registry: MlflowRegistry, symbols: Sequence[str]
) -> int:
    code = EXIT_OK
    for symbol in symbols:
        started_at = utc_now()
        try:
            info, training = await _train_symbol(database, settings, registry, symbol, started_at)
        except MinutebookError as error:
            sys.stderr.write(f"predictor: {symbol}: {error}\n")
            code = EXIT_FAILED
            if not isinstance(error, DatabaseError | TrainingUnderWayError):
                await _write_failure(database, symbol, started_at, str(error))
        else:
            log.info(
                "model_trained",
                symbol=symbol,
                version=info.version,
                is_champion=training.is_better,
                decision=training.reason,
                seconds=round((utc_now() - started_at).total_seconds(), 1),
            )
    return code


async def _train_symbol(
    database: Database, settings: PredictorSettings, registry: MlflowRegistry, symbol: str, started_at: datetime
) -> tuple[ModelInfo, Training]:
    async with _training_alone(database, symbol) as connection:
        # The registry first: without it there is nothing to be gained from a minute's work.
        champion = await asyncio.to_thread(_load_champion, registry, symbol)
        bars = await _select_history(connection, symbol)
        training = await asyncio.to_thread(train, bars, settings.horizons, champion)
        info = await asyncio.to_thread(registry.register, symbol, training)

    async def record(connection: Connection) -> None:
        promotion = Promotion(training.is_better, training.reason, training.evaluation.metrics())
        await upsert_model(connection, info, promotion)
        outcome = TrainingOutcome("promoted" if training.is_better else "kept", training.reason, info.version)
        await insert_training(connection, symbol, started_at, outcome)

    await _write_patiently(database, record)
    return info, training


def _load_champion(registry: MlflowRegistry, symbol: str) -> Champion | None:
    """Return the model to compare with; one that cannot be read is none, and is to be replaced."""
    try:
        info = registry.find_champion(symbol)
        return registry.load(info) if info is not None and is_usable(info) else None
    except ModelUnusableError as error:
        log.warning("champion_unusable", symbol=symbol, reason=str(error))
        return None


@asynccontextmanager
async def _training_alone(database: Database, symbol: str) -> AsyncIterator[Connection]:
    """Connect, and keep other predictors from training the symbol; raises TrainingUnderWayError where one does."""
    async with database.connect() as connection:
        if not await lock_training(connection, symbol):
            raise TrainingUnderWayError(f"Another predictor trains {symbol} just now; wait for it.")
        yield connection


async def _select_history(connection: Connection, symbol: str) -> Bars:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        newest = await select_newest(connection, symbol)
        end = newest.made_at or newest.now
        return await select_bars(connection, symbol, end - timedelta(milliseconds=HISTORY_MS_MAX), end)


async def _write_patiently(database: Database, work: Callable[[Connection], Awaitable[None]]) -> None:
    """Write what a training came to, again while Postgres is away; raises DatabaseError when it stays so."""
    until = time.monotonic() + _PATIENCE_SECONDS
    backoff = Backoff(_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
    while True:
        try:
            await database.write(work)
        except DatabaseUnavailableError:
            if time.monotonic() >= until:
                raise
            await asyncio.sleep(backoff.next())
        else:
            return


async def _write_failure(database: Database, symbol: str, started_at: datetime, reason: str) -> None:
    outcome = TrainingOutcome("failed", reason)
    try:
        await database.write(partial(insert_training, symbol=symbol, started_at=started_at, outcome=outcome))
    except DatabaseError as error:
        log.warning("failure_not_recorded", symbol=symbol, reason=str(error))
