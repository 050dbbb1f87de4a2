"""The registry against a real MLflow: what a training leaves there, who becomes champion, what a failure leaves."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from predictor.forecast.inputs import COLUMNS
from predictor.forecast.training import Training, train
from predictor.model_info import ModelInfo
from predictor.registry.address import RegistryAddress
from predictor.registry.client import open_client
from predictor.registry.mlflow_registry import CHAMPION, MlflowRegistry
from shared.errors import ModelUnusableError, RegistryError, RegistryUnavailableError
from tests.mlflow import MlflowServer, mlflow_server
from tests.models import walk
from tests.processes import python

HORIZONS = (1, 5, 60)
# Reads the champion in a process that has never seen it, as the predictor does and as anyone with MLflow can.
FRESH = """
import sys
import numpy as np
import mlflow
from predictor.registry.mlflow_registry import MlflowRegistry
from predictor.forecast.inputs import COLUMNS
import pandas as pd
url, symbol, inputs, output = sys.argv[1:]
example = np.load(inputs)
registry = MlflowRegistry(url)
ours = registry.load(registry.find_champion(symbol)).predict(example)
mlflow.set_tracking_uri(url)
name = f"models:/minutebook-{symbol}@champion"
frame = pd.DataFrame(example, columns=list(COLUMNS))
np.save(output, [ours, mlflow.sklearn.load_model(name).predict(frame), mlflow.pyfunc.load_model(name).predict(frame)])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One for the module; a test keeps to a symbol of its own."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def registry(server: MlflowServer) -> MlflowRegistry:
    """The registry there."""
    return MlflowRegistry(server.url)


@pytest.fixture
def client(server: MlflowServer) -> MlflowClient:
    """MLflow's own client, to see what is there."""
    return open_client(RegistryAddress(server.url))


@pytest.fixture(scope="module")
def better() -> Training:
    """A training that the gate let pass."""
    return replace(train(walk(9), HORIZONS, None), is_better=True, reason="It is the first model.")


@pytest.fixture(scope="module")
def worse() -> Training:
    """One that it did not."""
    return replace(train(walk(8, seed=2), HORIZONS, None), is_better=False, reason="The champion stays.")


def files(client: MlflowClient, run_id: str, folder: str | None = None) -> set[str]:
    """All files of a run."""
    found = set()
    for entry in client.list_artifacts(run_id, folder):
        found |= files(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


def test_server_is_one_process(server: MlflowServer) -> None:
    """Whoever ends it has ended all of it."""
    children = [
        child
        for task in Path(f"/proc/{server.process}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]
    assert children == []


def test_server_answers_to_its_own_name_only(server: MlflowServer) -> None:
    """A foreign page that makes its own name mean this machine gets nothing."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 403
    finally:
        connection.close()


def test_symbol_without_a_training_has_no_champion(registry: MlflowRegistry) -> None:
    """An empty registry is no error."""
    assert registry.find_champion("NEWUSDT") is None


def test_run_holds_what_went_in_and_how_well_it_did(
    registry: MlflowRegistry, client: MlflowClient, better: Training
) -> None:
    """Parameters, metrics by horizon, pictures, the data's range and digest, the versions of code and features."""
    info = registry.register("BTCUSDT", better)
    run = client.get_run(info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in better.parameters.items()}
    assert run.data.metrics == pytest.approx(better.evaluation.metrics())
    assert {f"coverage_80.h{horizon}" for horizon in HORIZONS} <= set(run.data.metrics)
    tags = run.data.tags
    assert tags["minutebook_data_digest"] == better.data_digest
    assert tags["minutebook_trained_from"] == "2023-01-01T00:00:00Z"
    assert tags["minutebook_feature_version"] == str(better.feature_version)
    assert tags["minutebook_code_version"].count(".") == 2
    assert tags["minutebook_decision"] == "It is the first model."
    assert files(client, info.run_id) == {"plots/reliability.png", "plots/errors.png"}
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.name == "minutebook-BTCUSDT"


def test_model_is_stored_with_what_its_user_needs(
    server: MlflowServer, registry: MlflowRegistry, better: Training, tmp_path: Path
) -> None:
    """A signature with the inputs' names, an example, pinned requirements; no pickle among the files."""
    import mlflow  # noqa: PLC0415

    info = registry.register("FILES", better)
    mlflow.set_tracking_uri(server.url)
    uri = f"models:/{info.name}/{info.version}"
    model = mlflow.models.get_model_info(uri)
    assert model.signature.inputs.input_names() == list(COLUMNS)
    assert model.signature.outputs.inputs[0].shape == (-1, len(HORIZONS))
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path)))
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.skops", "input_example.json", "requirements.txt"} <= names
    assert not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names)
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert all("==" in requirement for requirement in requirements)
    assert {requirement.partition("==")[0] for requirement in requirements} >= {"numpy", "scikit-learn", "skops"}
    example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    assert len(example["data"]) == len(better.example)


def test_champion_is_who_the_gate_says(registry: MlflowRegistry, better: Training, worse: Training) -> None:
    """A worse one is kept as a version; a better one takes over."""
    assert registry.register("GATE", worse).version == 1
    assert registry.find_champion("GATE") is None
    first = registry.register("GATE", better)
    assert registry.find_champion("GATE") == first
    assert first.version == 2
    assert registry.register("GATE", worse).version == 3
    assert registry.find_champion("GATE") == first
    second = registry.register("GATE", better)
    assert registry.find_champion("GATE") == second
    assert (second.symbol, second.data_digest, second.horizons) == ("GATE", better.data_digest, HORIZONS)


def test_symbols_have_champions_of_their_own(registry: MlflowRegistry, better: Training) -> None:
    """Each is its own registered model."""
    one, other = registry.register("ONEUSDT", better), registry.register("TWOUSDT", better)
    assert (registry.find_champion("ONEUSDT"), registry.find_champion("TWOUSDT")) == (one, other)


def test_alias_moved_by_hand_is_obeyed(registry: MlflowRegistry, client: MlflowClient, better: Training) -> None:
    """That is how a person rolls back."""
    first = registry.register("ROLLBACK", better)
    second = registry.register("ROLLBACK", better)
    assert registry.find_champion("ROLLBACK") == second
    client.set_registered_model_alias(first.name, CHAMPION, str(first.version))
    assert registry.find_champion("ROLLBACK") == first


def test_alias_on_a_foreign_version_is_told(registry: MlflowRegistry, client: MlflowClient, better: Training) -> None:
    """Somebody registered a version without our tags, and made it the champion."""
    info = registry.register("FOREIGN", better)
    source = client.get_model_version(info.name, str(info.version)).source or ""
    foreign = client.create_model_version(info.name, source, model_id=source.removeprefix("models:/"))
    client.set_registered_model_alias(info.name, CHAMPION, foreign.version)
    with pytest.raises(ModelUnusableError, match=f"Version {foreign.version} of {info.name}"):
        registry.find_champion("FOREIGN")


async def test_stored_model_gives_the_same_numbers_in_a_fresh_process(
    server: MlflowServer, registry: MlflowRegistry, better: Training, tmp_path: Path
) -> None:
    """To the last bit: by the registry, and by MLflow itself in both of its ways."""
    await asyncio.to_thread(registry.register, "FRESH", better)
    inputs, output = tmp_path / "inputs.npy", tmp_path / "output.npy"
    np.save(inputs, better.example)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    async with python("-c", FRESH, server.url, "FRESH", str(inputs), str(output), folder=folder) as process:
        _, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
    # MLflow makes a database where it runs when it thinks that it has no server.
    assert not any(folder.iterdir())
    expected = better.challenger.predict(better.example)
    assert np.isfinite(expected).all()
    for loaded in np.load(output):
        assert np.array_equal(loaded, expected)


def test_damaged_model_in_the_store_is_told(server: MlflowServer, registry: MlflowRegistry, better: Training) -> None:
    """It does not become anyone's forecasts."""
    info = registry.register("DAMAGED", better)
    (newest,) = sorted(server.folder.glob("artifacts/*/models/*/artifacts/model.skops"), key=_age)[-1:]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(ModelUnusableError, match="train another one"):
        registry.load(info)


def test_model_missing_from_the_store_is_told(server: MlflowServer, registry: MlflowRegistry, better: Training) -> None:
    """The registry knows it, the folder does not."""
    info = registry.register("MISSING", better)
    (newest,) = sorted(server.folder.glob("artifacts/*/models/*/artifacts/model.skops"), key=_age)[-1:]
    newest.unlink()
    with pytest.raises(RegistryError, match=server.url):
        registry.fetch(info)


def test_model_that_is_not_stored_as_it_was_trained_does_not_become_champion(
    server: MlflowServer, better: Training, worse: Training
) -> None:
    """What is read back decides, before the alias moves."""

    class Forgetful(MlflowRegistry):
        def fetch(self, info: ModelInfo) -> bytes:
            return super().fetch(replace(info, version=1))

    registry = Forgetful(server.url)
    first = registry.register("FORGET", worse)
    with pytest.raises(ModelUnusableError, match="does not become the champion"):
        registry.register("FORGET", better)
    assert registry.find_champion("FORGET") is None
    assert first.version == 1


class KillsWhenRead(UserDict[str, str | int | float]):
    """Parameters that kill the server when they are about to be logged: the run has begun by then."""

    def __init__(self, server: MlflowServer) -> None:
        super().__init__(columns=1)
        self._server = server

    def __iter__(self) -> Iterator[str]:
        self._server.kill()
        return super().__iter__()


class KillsWhenShown:
    """An example that kills the server when the model is about to be logged, the last thing before its version."""

    def __init__(self, server: MlflowServer, example: Any) -> None:
        self._server = server
        self._example = example

    def __iter__(self) -> Iterator[Any]:
        return iter(self._example)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        self._server.kill()
        return np.array(self._example, dtype=dtype)


@pytest.mark.parametrize("moment", ["parameters", "model"])
def test_server_killed_in_mid_run_leaves_the_champion(server: MlflowServer, better: Training, moment: str) -> None:
    """The training ends with one sentence, soon; when the server is back the champion is whom it was."""
    registry, symbol = MlflowRegistry(server.url), f"KILLED-{moment}"
    champion = registry.register(symbol, better)
    changes: dict[str, dict[str, Any]] = {
        "parameters": {"parameters": KillsWhenRead(server)},
        "model": {"example": KillsWhenShown(server, better.example)},
    }
    try:
        before = time.monotonic()
        with pytest.raises(RegistryUnavailableError, match=r"does not serve \(no connection\): start it") as raised:
            registry.register(symbol, replace(better, **changes[moment]))
        assert time.monotonic() - before < 30
        assert server.url in str(raised.value)
    finally:
        server.kill()
        server.start()
    assert registry.find_champion(symbol) == champion
    assert np.array_equal(registry.load(champion).predict(better.example), better.challenger.predict(better.example))
    later = registry.register(symbol, better)
    assert registry.find_champion(symbol) == later


def test_server_that_does_not_answer_is_given_up(better: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and says nothing; each call ends within its bound."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = MlflowRegistry(f"http://127.0.0.1:{silent.getsockname()[1]}")
        calls: list[Callable[[], object]] = [
            lambda: registry.find_champion("BTCUSDT"),
            lambda: registry.register("BTCUSDT", better),
        ]
        for call in calls:
            before = time.monotonic()
            with pytest.raises(RegistryUnavailableError, match=r"does not serve \(no answer in time\)"):
                call()
            assert time.monotonic() - before < 20


def test_nobody_there_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the setting to change, and no login."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RegistryUnavailableError, match="correct PREDICTOR_MLFLOW_TRACKING_URI") as raised:
        MlflowRegistry(f"http://me:secret@127.0.0.1:{port}").find_champion("BTCUSDT")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


class Answering:
    """A server that gives one answer to everything, and keeps what it was asked."""

    def __init__(self, status: int, content_type: str, body: str) -> None:
        self.asked: list[tuple[str, str]] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answering.asked.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815 - the name is the standard library's

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/html", "<html>A router's page</html>"),
        (404, "text/html", "<html>Nothing here</html>"),
        (403, "text/plain", "Invalid Host header"),
        (401, "application/json", '{"error_code": "UNAUTHENTICATED", "message": "Who are you?"}'),
        (200, "application/json", "{}"),
        (500, "application/json", '{"error_code": "INTERNAL_ERROR", "message": "The database is locked."}'),
    ],
)
def test_answer_that_is_of_no_use_is_one_sentence(
    status: int, content_type: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program at that address, or an MLflow that refuses, never means that there is no champion."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with Answering(status, content_type, body) as server:
        with pytest.raises(RegistryError) as raised:
            MlflowRegistry(server.url).find_champion("BTCUSDT")
        assert server.asked
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_databricks_is_asked_with_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code: at its host, with its token, for a name of three levels in the Unity Catalog."""
    absent = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "There is no such model."}'
    with Answering(404, "application/json", absent) as server:
        monkeypatch.setenv("DATABRICKS_HOST", server.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", "token-of-the-test")
        assert MlflowRegistry("databricks", schema="prices.btc").find_champion("BTCUSDT") is None
        catalog = [(path, login) for path, login in server.asked if "unity-catalog" in path]
        assert any("prices.btc.minutebook_btcusdt" in path for path, _ in catalog)
        assert {login for _, login in catalog} == {"Bearer token-of-the-test"}


def test_databricks_without_its_variables_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sentence says which to set."""
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RegistryUnavailableError, match="Databricks"):
        MlflowRegistry("databricks").find_champion("BTCUSDT")


def _age(path: Path) -> float:
    return path.stat().st_mtime
