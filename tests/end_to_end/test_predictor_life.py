"""The predictor as a process, with a real MLflow: it trains, forecasts and scores, and outlives what it relies on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.instant import DAY, MINUTE
from tests.collecting import connected, eventually
from tests.end_to_end.collector_process import Stage, ended, stage
from tests.integration.predictor_record import NOON, SYMBOL, prices, set_exchange_time, store_minutes
from tests.mlflow import MlflowServer, mlflow_server
from tests.postgres import AnyConnection, Database
from tests.processes import is_alive, python, until

TRAINED_SECONDS = 90.0
# Starting it imports scikit-learn and MLflow, on a machine that does other things too.
START_SECONDS = 40.0
STOP_SECONDS = 10.0


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server for all of these tests; what they train is numbered on."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@asynccontextmanager
async def predictor(
    *arguments: str, database: Database, registry: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the predictor's command; killed at the end if it still runs."""
    environment = {
        "PREDICTOR_DATABASE_URL": database.predictor_url,
        "PREDICTOR_MLFLOW_TRACKING_URI": registry,
        "PREDICTOR_CACHE": str(folder / "models"),
        "PREDICTOR_SCHEDULE": "0 0 29 2 *",
        # Nobody reads the pipe while it runs, so little may be said.
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "warning",
    }
    async with python("-m", "predictor", *arguments, environment=environment, folder=folder) as process:
        yield process


async def until_forecast(owner: AnyConnection, after: datetime, seconds: float) -> datetime:
    """Wait for a forecast of a minute later than this, and return when it was made."""

    async def is_there() -> bool:
        return bool(await owner.fetchval("SELECT EXISTS (SELECT FROM forecasts WHERE made_at > $1)", after))

    await eventually(is_there, seconds)
    newest: datetime = await owner.fetchval("SELECT max(made_at) FROM forecasts")
    return newest


def close_minute(scene: Stage) -> None:
    """Move the exchange's clock to just before the end of its minute."""
    now = scene.now()
    scene.simulator.market.clock.set(now.replace(second=0, microsecond=0) + MINUTE - timedelta(seconds=1))


def children(process: int) -> list[int]:
    """The trainings that a predictor has started; libraries start a helper now and then, too."""
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split() if is_training(int(child))]


def is_training(process: int) -> bool:
    """Whether a process is the command that trains; before it is that, it looks like the one that started it."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[-2:-1] == [b"train"]
    except FileNotFoundError:
        return False


@pytest.mark.timeout(300)
async def test_record_is_learned_from_forecast_and_scored(
    database: Database, mlflow: MlflowServer, tmp_path: Path
) -> None:
    """From an empty database: collected, trained once the record is filled, forecast each minute, scored at its target.

    Then MLflow is killed, and a predictor that starts without it forecasts on.
    """
    start = NOON - timedelta(seconds=5)
    async with (
        stage(database, start=start, COLLECTOR_BACKFILL_SINCE="6d") as scene,
        connected(database.owner_url) as owner,
        scene.collector(),
    ):
        async with predictor("run", database=database, registry=mlflow.url, folder=tmp_path) as process:
            made_at = await until_forecast(owner, NOON - MINUTE, TRAINED_SECONDS)
            model = await owner.fetchrow("SELECT * FROM models")
            assert model is not None
            assert (model["version"], model["was_promoted"]) == (1, True)
            assert model["trained_from"] >= NOON - 6 * DAY - MINUTE
            assert await owner.fetchval("SELECT outcome FROM trainings") == "promoted"
            for _ in range(2):
                close_minute(scene)
                made_at = await until_forecast(owner, made_at, 20)

            async def is_scored() -> bool:
                return bool(await owner.fetchval("SELECT count(*) >= 2 FROM forecast_scores"))

            await eventually(is_scored)
            await assert_sound(owner)
            process.terminate()
            code, _, complaints = await ended(process, STOP_SECONDS)
            assert (code, complaints) == (0, "")
        mlflow.kill()
        try:
            async with predictor("run", database=database, registry=mlflow.url, folder=tmp_path):
                close_minute(scene)
                made_at = await until_forecast(owner, made_at, START_SECONDS)

                async def is_said() -> bool:
                    reason = await owner.fetchval("SELECT registry_reason FROM predictor_status")
                    return "does not serve" in (reason or "")

                await eventually(is_said, START_SECONDS)
                close_minute(scene)
                await until_forecast(owner, made_at, 20)
                assert await owner.fetchval("SELECT model_version FROM predictor_status WHERE forecasts") == 1
        finally:
            mlflow.start()


async def assert_sound(owner: AnyConnection) -> None:
    """Every forecast starts from the record's price and was written before its target."""
    unsound = await owner.fetch(
        """
        SELECT *
        FROM forecasts
        LEFT JOIN ticks
          ON ticks.symbol = forecasts.symbol AND ticks.minute = forecasts.made_at - interval '1 minute'
        WHERE ticks.close IS DISTINCT FROM forecasts.base_price
           OR NOT point BETWEEN lower_bounds[1] AND upper_bounds[1]
           OR upper_bounds[3] - lower_bounds[3] > 0.2 * base_price
        """
    )
    assert unsound == []
    assert await owner.fetchval("SELECT count(DISTINCT horizon_minutes) FROM forecasts") == 4


@asynccontextmanager
async def training_predictor(
    owner: AnyConnection, database: Database, mlflow: MlflowServer, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A predictor that has begun to train on five hours of minutes, and the number of the process that does."""
    async with predictor("run", database=database, registry=mlflow.url, folder=folder) as process:
        await set_exchange_time(owner, NOON)
        await store_minutes(owner, NOON - timedelta(hours=5), prices(300))
        await until(lambda: bool(children(process.pid)), START_SECONDS)
        (child,) = children(process.pid)
        yield process, child


async def test_stop_in_mid_training_ends_the_child_that_hangs(
    database: Database, mlflow: MlflowServer, tmp_path: Path
) -> None:
    """Within the 10 seconds that SIGTERM allows; nothing is left running."""
    async with (
        connected(database.owner_url) as owner,
        training_predictor(owner, database, mlflow, tmp_path) as (process, child),
    ):
        os.kill(child, signal.SIGSTOP)
        process.terminate()
        code, _, complaints = await ended(process, STOP_SECONDS)
        assert (code, complaints) == (0, "")
        assert not is_alive(child)
        assert await owner.fetchval("SELECT count(*) FROM trainings") == 0


async def test_training_that_is_killed_is_on_record_and_tried_again(
    database: Database, mlflow: MlflowServer, tmp_path: Path
) -> None:
    """The service goes on, and says when."""
    async with (
        connected(database.owner_url) as owner,
        training_predictor(owner, database, mlflow, tmp_path) as (process, child),
    ):
        os.kill(child, signal.SIGKILL)

        # The schedule by itself names a day that lies far ahead.
        async def is_said() -> bool:
            statement = "SELECT next_training_at < now() + interval '1 hour' FROM predictor_status"
            return bool(await owner.fetchval(statement))

        await eventually(is_said, 60)
        row = await owner.fetchrow("SELECT outcome, reason FROM trainings")
        assert row is not None
        assert tuple(row) == ("failed", "The training ended early: signal 9.")
        assert process.returncode is None


async def test_symbol_is_trained_by_one_predictor_at_a_time(
    database: Database, mlflow: MlflowServer, tmp_path: Path
) -> None:
    """The other one says so; that is no failure of the training to be kept."""
    async with connected(database.owner_url) as owner:
        await owner.execute("SELECT pg_advisory_lock(hashtextextended('minutebook training ' || $1, 0))", SYMBOL)
        async with predictor("train", database=database, registry=mlflow.url, folder=tmp_path) as process:
            code, _, complaints = await ended(process, TRAINED_SECONDS)
        assert (code, complaints) == (
            2,
            f"predictor: {SYMBOL}: Another predictor trains {SYMBOL} just now; wait for it.\n",
        )
        assert await owner.fetchval("SELECT count(*) FROM trainings") == 0


async def test_training_that_cannot_be_is_a_sentence_and_on_record(
    database: Database, mlflow: MlflowServer, tmp_path: Path
) -> None:
    """With too little history, and with nobody at the registry's address; exit 2 and no traceback."""
    async with connected(database.owner_url) as owner:
        await set_exchange_time(owner, NOON)
        await store_minutes(owner, NOON - timedelta(hours=5), prices(300))
        for registry, reason in ((mlflow.url, "The record has 0.2 days"), ("http://127.0.0.1:9", "does not serve")):
            async with predictor("train", database=database, registry=registry, folder=tmp_path) as process:
                code, _, complaints = await ended(process, TRAINED_SECONDS)
            assert code == 2
            assert complaints.startswith(f"predictor: {SYMBOL}: ")
            assert complaints.count("\n") == 1
            assert reason in complaints
        rows = await owner.fetch("SELECT outcome, reason, version FROM trainings ORDER BY started_at")
        assert [row["outcome"] for row in rows] == ["failed", "failed"]
        assert "The record has 0.2 days" in rows[0]["reason"]
        assert "does not serve" in rows[1]["reason"]


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ((), {}, "the following arguments are required"),
        (("guess",), {}, "invalid choice: 'guess'"),
        (("run",), {"PREDICTOR_DATABASE_URL": ""}, "PREDICTOR_DATABASE_URL"),
        (("run",), {"PREDICTOR_HORIZONS": "soon"}, "PREDICTOR_HORIZONS"),
        (("train",), {"PREDICTOR_MLFLOW_TRACKING_URI": ""}, "PREDICTOR_MLFLOW_TRACKING_URI is not set"),
        (("score",), {}, "Postgres does not answer"),
        (("run",), {}, "Postgres does not answer"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    """Exit 2 and no traceback."""
    nowhere = {
        "PREDICTOR_DATABASE_URL": "postgresql://predictor@127.0.0.1:9/minutebook",
        "PREDICTOR_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    async with python("-m", "predictor", *arguments, environment=nowhere | settings, folder=tmp_path) as process:
        async with asyncio.timeout(START_SECONDS):
            _, complaint = await process.communicate()
    assert process.returncode == 2
    assert sentence in complaint.decode()
    assert "Traceback" not in complaint.decode()
