"""`python -m predictor train`: one training of each symbol, from the record to the registry and back into Postgres.

The service runs it as a child, so that memory comes back and what hangs can be ended; a Job runs the same.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from predictor.champion import is_usable
from predictor.model import DistributionModel
from predictor.model_info import ModelInfo
from predictor.registry import Registry
from predictor.settings import PredictorSettings
from predictor.store import Decision, Outcome, insert_training, upsert_model
from predictor.training import HISTORY_MS_MAX, Training, train
from predictor.window import select_bars, select_newest
from shared.bars import Bars
from shared.database.driver import Connection, connect, translated
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

EXIT_FAILED = 2
_STATEMENT_SECONDS = 60.0
# A model that is registered should be known here too, even if Postgres is being restarted just now.
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 1.0


def chosen_symbols(symbols: tuple[str, ...], index: int | None) -> tuple[str, ...]:
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
    symbols = chosen_symbols(settings.symbols, symbol_index)
    registry = Registry(settings.registry_uri(), settings.mlflow_schema)
    code = 0
    for symbol in symbols:
        started_at = utc_now()
        try:
            info, training = await _train_symbol(settings, registry, symbol, started_at)
        except MinutebookError as error:
            sys.stderr.write(f"predictor: {symbol}: {error}\n")
            code = EXIT_FAILED
            if not isinstance(error, DatabaseError | TrainingUnderWayError):
                await _record_failure(settings, symbol, started_at, str(error))
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
    settings: PredictorSettings, registry: Registry, symbol: str, started_at: datetime
) -> tuple[ModelInfo, Training]:
    async with _training_alone(settings, symbol) as connection:
        # The registry first: without it there is nothing to be gained from a minute's work.
        champion = await asyncio.to_thread(_load_champion, registry, symbol)
        bars = await _select_history(connection, symbol)
        training = await asyncio.to_thread(train, bars, settings.horizons, champion)
        info = await asyncio.to_thread(registry.register, symbol, training)

    async def record(connection: Connection) -> None:
        async with connection.transaction():
            decision = Decision(training.is_better, training.reason, training.evaluation.metrics())
            await upsert_model(connection, info, decision)
            outcome = Outcome("promoted" if training.is_better else "kept", training.reason, info.version)
            await insert_training(connection, symbol, started_at, outcome)

    await _record(settings, record, _PATIENCE_SECONDS)
    return info, training


def _load_champion(registry: Registry, symbol: str) -> DistributionModel | None:
    """Return the model to compare with; one that cannot be read is none, and is to be replaced."""
    try:
        info = registry.find_champion(symbol)
        return registry.load(info) if info is not None and is_usable(info) else None
    except ModelUnusableError as error:
        log.warning("champion_unusable", symbol=symbol, reason=str(error))
        return None


@asynccontextmanager
async def _training_alone(settings: PredictorSettings, symbol: str) -> AsyncIterator[Connection]:
    """Connect, and keep other predictors from training the symbol; raises TrainingUnderWayError where one does."""
    url = settings.database_url.get_secret_value()
    async with connect(
        url, "minutebook-predictor training", statement_timeout=f"{_STATEMENT_SECONDS:.0f}s"
    ) as connection:
        with translated():
            is_alone = await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended('minutebook training ' || $1, 0))", symbol
            )
        if not is_alone:
            raise TrainingUnderWayError(f"Another predictor trains {symbol} just now; wait for it.")
        yield connection


async def _select_history(connection: Connection, symbol: str) -> Bars:
    with translated():
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            newest = await select_newest(connection, symbol)
            end = newest.made_at or newest.now
            return await select_bars(connection, symbol, end - timedelta(milliseconds=HISTORY_MS_MAX), end)


async def _record(
    settings: PredictorSettings, record: Callable[[Connection], Awaitable[None]], patience_seconds: float
) -> None:
    """Write with a connection of its own, again while Postgres is away; raises DatabaseError when it stays so."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            async with connect(settings.database_url.get_secret_value(), "minutebook-predictor training") as connection:
                with translated():
                    async with asyncio.timeout(_STATEMENT_SECONDS):
                        await record(connection)
        except DatabaseUnavailableError:
            if time.monotonic() >= until:
                raise
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _record_failure(settings: PredictorSettings, symbol: str, started_at: datetime, reason: str) -> None:
    async def record(connection: Connection) -> None:
        await insert_training(connection, symbol, started_at, Outcome("failed", reason))

    try:
        await _record(settings, record, patience_seconds=0)
    except DatabaseError as error:
        log.warning("failure_not_recorded", symbol=symbol, reason=str(error))
