"""MLflow with its files in MinIO, behind its artifact proxy: the predictor needs no key of the store."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from minio import Minio

from deploy.bucket import BucketSettings, ensure_bucket
from predictor.forecast.training import train
from predictor.registry.mlflow_registry import MlflowRegistry
from tests.engine import find_engine
from tests.minio import IMAGE, minio_client, minio_container
from tests.mlflow import MlflowServer, mlflow_server
from tests.models import walk
from tests.processes import python

pytestmark = pytest.mark.engine

FRESH = """
import sys
import numpy as np
from predictor.registry.mlflow_registry import MlflowRegistry
url, inputs, output = sys.argv[1:]
registry = MlflowRegistry(url)
np.save(output, registry.load(registry.find_champion("BTCUSDT")).predict(np.load(inputs)))
"""


@pytest.fixture(scope="module")
def minio() -> Iterator[BucketSettings]:
    """A MinIO without a bucket."""
    if refusal := find_engine().refusal(IMAGE):
        pytest.skip(refusal)
    with minio_container() as settings:
        yield settings


@pytest.fixture
def store(minio: BucketSettings) -> Iterator[Minio]:
    """MinIO's own client, to see what is there."""
    with minio_client(minio) as client:
        yield client


@pytest.fixture(scope="module")
def server(minio: BucketSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow that keeps its files there; only it has the keys."""
    settings = minio.model_copy(update={"bucket": "models"})
    ensure_bucket(settings)
    keys = {
        "AWS_ACCESS_KEY_ID": settings.root_user,
        "AWS_SECRET_ACCESS_KEY": settings.root_password.get_secret_value(),
        "MLFLOW_S3_ENDPOINT_URL": settings.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
    }
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), f"s3://{settings.bucket}/mlflow", keys) as running:
        yield running


async def test_model_goes_to_the_bucket_and_comes_back_the_same(
    server: MlflowServer, store: Minio, tmp_path: Path
) -> None:
    """Through MLflow: neither this process nor a fresh one has a key, or hears of the store."""
    assert not any(name.startswith("AWS_") and "KEY" in name for name in os.environ)
    training = replace(train(walk(9), (1, 60), None), is_better=True)
    registry = MlflowRegistry(server.url)
    info = registry.register("BTCUSDT", training)
    objects = {entry.object_name or "": entry.size or 0 for entry in store.list_objects("models", recursive=True)}
    (model,) = (name for name in objects if name.endswith("/artifacts/model.skops"))
    assert model.startswith("mlflow/")
    assert objects[model] == len(registry.fetch(info))
    assert {name.rpartition("/")[2] for name in objects} >= {"MLmodel", "reliability.png", "errors.png"}
    assert not any((server.folder / "artifacts").glob("**/*.skops"))
    inputs, output = tmp_path / "inputs.npy", tmp_path / "output.npy"
    np.save(inputs, training.example)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    async with python("-c", FRESH, server.url, str(inputs), str(output), folder=folder) as process:
        _, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
    # MLflow makes a database where it runs when it thinks that it has no server.
    assert not any(folder.iterdir())
    assert np.array_equal(np.load(output), training.challenger.predict(training.example))


def test_bucket_is_made_once(minio: BucketSettings, store: Minio) -> None:
    """A second set-up finds it, and leaves what is in it; the check leaves nothing behind."""
    settings = minio.model_copy(update={"bucket": "twice"})
    assert ensure_bucket(settings)
    store.put_object("twice", "kept", io.BytesIO(b"1"), 1)
    assert not ensure_bucket(settings)
    assert [entry.object_name for entry in store.list_objects("twice")] == ["kept"]


async def test_set_up_is_a_command(minio: BucketSettings) -> None:
    """With its settings from the environment; wrong keys end with one sentence."""
    environment = {
        "MINIO_URL": minio.url,
        "MINIO_ROOT_USER": minio.root_user,
        "MINIO_ROOT_PASSWORD": minio.root_password.get_secret_value(),
        "MINIO_BUCKET": "commanded",
    }
    for said in (b"was made", b"exists"):
        async with python("-m", "deploy.bucket", environment=environment) as process:
            output, _ = await process.communicate()
            assert process.returncode == 0
            assert output == b"The bucket commanded " + said + b" and works.\n"
    async with python("-m", "deploy.bucket", environment=environment | {"MINIO_ROOT_PASSWORD": "wrong"}) as process:
        _, complaint = await process.communicate()
        assert process.returncode == 2
        assert complaint.startswith(b"bucket: MinIO at ")
        assert b"SignatureDoesNotMatch" in complaint
        assert b"Traceback" not in complaint
