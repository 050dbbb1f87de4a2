"""A real MinIO for tests, in a container."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio import Minio
from pydantic import SecretStr

from deploy.bucket import BucketSettings
from tests.engine import labels, remove_abandoned
from tests.processes import answers

# The maintained fork of upstream's, whose images stopped: the same API, variables and disk format.
IMAGE = "pgsty/silo:RELEASE.2026-09-03T13-18-01Z"
_PORT = 9000
_START_SECONDS = 60.0


@contextmanager
def minio_container() -> Iterator[BucketSettings]:
    """Run an empty MinIO; yields where it is, its keys, and the name of a bucket that is not there yet."""
    # Importing it reads the engine's settings, so it waits until it is known that there is one.
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    # The reaper is one more image; `remove_abandoned` does its work.
    testcontainers_config.ryuk_disabled = True
    remove_abandoned()
    user, password = "minutebook-tests", secrets.token_urlsafe(16)
    container = (
        DockerContainer(IMAGE)
        .with_env("MINIO_ROOT_USER", user)
        .with_env("MINIO_ROOT_PASSWORD", password)
        .with_exposed_ports(_PORT)
        .with_kwargs(labels=labels())
    )
    try:
        container.start()
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(_PORT))
        _until_ready(host, port)
        yield BucketSettings.load(
            url=f"http://{host}:{port}", root_user=user, root_password=SecretStr(password), bucket="mlflow"
        )
    finally:
        container.stop()


@contextmanager
def minio_client(settings: BucketSettings) -> Iterator[Minio]:
    """A client with the root's keys, whose connections are closed at the end."""
    pool = urllib3.PoolManager(timeout=10, retries=False)
    try:
        yield Minio(
            settings.url.removeprefix("http://"),
            access_key=settings.root_user,
            secret_key=settings.root_password.get_secret_value(),
            secure=False,
            http_client=pool,
        )
    finally:
        pool.clear()


def _until_ready(host: str, port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while not answers(host, port, "/minio/health/ready"):
        if time.monotonic() > until:
            raise AssertionError("MinIO does not start")
        time.sleep(0.05)
