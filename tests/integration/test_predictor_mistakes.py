"""A mistake in the program is told as what it is, and never as Postgres's absence."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from predictor.commands import forecast, score, train
from predictor.commands.forecast import run_forecast
from predictor.commands.score import run_score
from predictor.commands.train import run_train
from predictor.model_info import ModelInfo
from predictor.settings import PredictorSettings
from shared.database.connection import Connection
from tests.integration.predictor_service import StandInRegistry, predicting, predictor_settings
from tests.postgres import Database

MISTAKES = [FileNotFoundError(2, "No such file or directory", "model.skops"), TypeError("an argument is missing")]


class MistakenRegistry(StandInRegistry):
    """A registry whose code has a mistake."""

    def __init__(self, mistake: Exception) -> None:
        super().__init__()
        self.mistake = mistake

    def find_champion(self, symbol: str) -> ModelInfo | None:
        """Raise what the mistake leads to."""
        raise self.mistake


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> PredictorSettings:
    """Settings of a predictor whose Postgres answers."""
    return predictor_settings(database.predictor_url, tmp_path)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: type(mistake).__name__)
async def test_mistake_ends_the_service(settings: PredictorSettings, mistake: Exception) -> None:
    """Whatever restarts it says so; it does not go on as if Postgres were away."""
    async with asyncio.timeout(20):
        with pytest.raises(ExceptionGroup) as raised:
            async with predicting(settings, MistakenRegistry(mistake)):
                await asyncio.Event().wait()
    assert raised.value.exceptions == (mistake,)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: type(mistake).__name__)
@pytest.mark.parametrize(("module", "run"), [(train, run_train), (forecast, run_forecast)], ids=["train", "forecast"])
async def test_mistake_ends_a_command(
    settings: PredictorSettings,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    run: Callable[[PredictorSettings], Awaitable[int]],
    mistake: Exception,
) -> None:
    """With its own traceback."""
    monkeypatch.setattr(module, "MlflowRegistry", lambda *_: MistakenRegistry(mistake))
    with pytest.raises(type(mistake)) as raised:
        await run(settings)
    assert raised.value is mistake


async def test_statement_with_a_wrong_argument_ends_a_command(
    settings: PredictorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver refuses it without a word to the server."""

    async def upsert_wrongly(connection: Connection, symbol: str) -> int:
        await connection.fetch("SELECT 1", symbol)
        return 0

    monkeypatch.setattr(score, "upsert_scores", upsert_wrongly)
    with pytest.raises(asyncpg.InterfaceError, match="0 arguments"):
        await run_score(settings)
