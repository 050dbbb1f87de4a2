"""The bucket's set-up before it reaches any MinIO, and where there is none."""

import socket
import time

import pytest

from deploy.bucket import BucketError, BucketSettings, ensure_bucket
from shared.errors import SettingsError

KEYS = {"root_user": "me", "root_password": "secret"}


@pytest.mark.parametrize("url", ["minio:9000", "ftp://minio", "http://", "http://minio:9000/bucket", ""])
def test_url_that_is_none_is_refused(url: str) -> None:
    """With the variable's name."""
    with pytest.raises(SettingsError, match="MINIO_URL cannot be used"):
        BucketSettings.load(url=url, **KEYS)


def test_keys_have_no_default() -> None:
    """Whoever sets a store up says its keys."""
    with pytest.raises(SettingsError, match="MINIO_ROOT_USER is not set; MINIO_ROOT_PASSWORD is not set"):
        BucketSettings.load()


@pytest.mark.parametrize("bucket", ["a", "with space", "192.168.0.1"])
def test_name_that_no_bucket_can_have_is_refused(bucket: str) -> None:
    """Before anything is asked."""
    with pytest.raises(BucketError, match="MINIO_BUCKET cannot be"):
        ensure_bucket(BucketSettings.load(url="http://127.0.0.1:9", bucket=bucket, **KEYS))


def test_nobody_there_is_one_sentence_soon() -> None:
    """It names what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    before = time.monotonic()
    with pytest.raises(BucketError, match="does not answer: start it, or correct MINIO_URL"):
        ensure_bucket(BucketSettings.load(url=f"http://127.0.0.1:{port}", **KEYS))
    assert time.monotonic() - before < 20
