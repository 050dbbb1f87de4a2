"""Binance's settings: its hosts, and what its rows are labelled with."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from shared.settings import CommaList, Settings

REST_URLS = (
    "https://api.binance.com",
    "https://api-gcp.binance.com",
    "https://api1.binance.com",
    "https://api2.binance.com",
    "https://api3.binance.com",
    "https://api4.binance.com",
    "https://data-api.binance.vision",
)


def _check_rest_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise ValueError("name at least one URL")
    return tuple(_check_url(url, ("http://", "https://")) for url in urls)


def _check_stream_url(url: str) -> str:
    return _check_url(url, ("ws://", "wss://")) if url else url


def _check_archive_url(url: str) -> str:
    return _check_url(url, ("http://", "https://")) if url else url


def _check_url(url: str, schemes: tuple[str, ...]) -> str:
    if not url.startswith(schemes) or not url.split("://", 1)[1].strip("/"):
        raise ValueError(f"'{url}' must begin with {' or '.join(schemes)} and name a host")
    return url.rstrip("/")


class BinanceSettings(Settings):
    """Where Binance is asked, which may be anything that speaks its protocol."""

    model_config = SettingsConfigDict(env_prefix="COLLECTOR_")

    source: str = Field("binance", min_length=1, max_length=40, description="What Binance's rows are labelled with")
    rest_urls: Annotated[CommaList, AfterValidator(_check_rest_urls)] = Field(
        REST_URLS, description="The REST hosts, a comma list in fail-over order"
    )
    stream_url: Annotated[str, AfterValidator(_check_stream_url)] = Field(
        "wss://data-stream.binance.vision", description="The stream, which makes minutes come sooner; empty: off"
    )
    archive_url: Annotated[str, AfterValidator(_check_archive_url)] = Field(
        "https://data.binance.vision", description="The archives, for the bulk of a long backfill; empty: off"
    )
