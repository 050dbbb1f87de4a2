"""`python -m deploy.bucket`: makes MLflow's bucket in MinIO, and checks that objects can be written and read.

It runs before MLflow starts, and is safe to run again. Only this step and MLflow have MinIO's keys.
"""

import asyncio
import io
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.command import EXIT_OK, Parser, run
from shared.errors import MinutebookError
from shared.settings import Settings

_REQUEST_SECONDS = 5.0
_REPETITIONS = 3
_PROBE_PREFIX = "minutebook-probe-"


class BucketError(MinutebookError):
    """MinIO does not answer, or refuses the keys or the bucket."""


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        raise ValueError("it must be the URL of a MinIO server, such as http://localhost:9000")
    return url.rstrip("/")


class BucketSettings(Settings):
    """Where MinIO is, its keys, and the bucket."""

    model_config = SettingsConfigDict(env_prefix="MINIO_")

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        "http://localhost:9000", description="MinIO, or another object store that speaks S3"
    )
    root_user: str = Field(description="MinIO's user, or an access key that may make buckets")
    root_password: SecretStr = Field(description="MinIO's password, or the access key's secret")
    bucket: str = Field("mlflow", description="The bucket that MLflow keeps models and plots in")


def ensure_bucket(settings: BucketSettings) -> bool:
    """Make the bucket if it is missing, and check it; returns whether it was made. Raises BucketError."""
    parts = urlsplit(settings.url)
    with _raise_bucket_errors(settings):
        client = Minio(
            parts.netloc,
            access_key=settings.root_user,
            secret_key=settings.root_password.get_secret_value(),
            secure=parts.scheme == "https",
            http_client=urllib3.PoolManager(
                timeout=_REQUEST_SECONDS, retries=urllib3.Retry(_REPETITIONS, backoff_factor=0.5)
            ),
        )
        is_new = not client.bucket_exists(settings.bucket) and _make_bucket(client, settings.bucket)
        _check_bucket(client, settings.bucket)
    return is_new


def _make_bucket(client: Minio, bucket: str) -> bool:
    """Make the bucket; returns False when another set-up has made it at the same moment."""
    try:
        client.make_bucket(bucket)
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
        return False
    return True


def _check_bucket(client: Minio, bucket: str) -> None:
    """Write an object, read it and remove it; raises BucketError when other bytes come back."""
    name, content = _PROBE_PREFIX + secrets.token_hex(8), secrets.token_bytes(32)
    client.put_object(bucket, name, io.BytesIO(content), len(content))
    try:
        answer = client.get_object(bucket, name)
        try:
            read = answer.read()
        finally:
            answer.close()
            answer.release_conn()
    finally:
        client.remove_object(bucket, name)
    if read != content:
        raise BucketError(f"The bucket {bucket} returns other bytes than were written to it: check MinIO's disks.")


@contextmanager
def _raise_bucket_errors(settings: BucketSettings) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        raise BucketError(
            f"MinIO at {settings.url} refuses the request ({error.code}): correct MINIO_ROOT_USER, "
            "MINIO_ROOT_PASSWORD or MINIO_BUCKET."
        ) from error
    except ValueError as error:
        raise BucketError(f"MINIO_BUCKET cannot be '{settings.bucket}' ({error}).") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise BucketError(f"MinIO at {settings.url} does not answer: start it, or correct MINIO_URL.") from error


async def main(arguments: list[str]) -> int:
    """Make and check the bucket; returns the exit code."""
    Parser(prog="python -m deploy.bucket", description="Make MLflow's bucket in MinIO, and check it.").parse_args(
        arguments
    )
    settings = BucketSettings.load()
    is_new = await asyncio.to_thread(ensure_bucket, settings)
    sys.stdout.write(f"The bucket {settings.bucket} {'was made' if is_new else 'exists'} and works.\n")
    return EXIT_OK


if __name__ == "__main__":
    run("bucket", main(sys.argv[1:]))
