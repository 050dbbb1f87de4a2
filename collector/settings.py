"""The collector's settings."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from shared.instant import parse_instant, utc_now
from shared.settings import CommaList, PostgresUrl, Settings
from shared.symbols import check_symbols

BINANCE_REST_URLS = (
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


def _check_since(text: str) -> str:
    now = utc_now()
    if parse_instant(text, now) > now:
        raise ValueError(f"'{text}' lies in the future; a record can only begin in the past")
    return text


class CollectorSettings(Settings):
    """What is collected, from where, and into which database."""

    model_config = SettingsConfigDict(env_prefix="COLLECTOR_")

    database_url: PostgresUrl = Field(
        description="Postgres as the role `collector`; several hosts are allowed; none outside `make run`"
    )
    symbols: Annotated[CommaList, AfterValidator(check_symbols)] = Field(
        ("BTCUSDT",), description="A comma list of the exchange's symbols; the API's default is the first"
    )
    source: str = Field("binance", min_length=1, max_length=40, description="What rows are labelled with")
    rest_urls: Annotated[CommaList, AfterValidator(_check_rest_urls)] = Field(
        BINANCE_REST_URLS, description="The REST hosts, a comma list in fail-over order"
    )
    stream_url: Annotated[str, AfterValidator(_check_stream_url)] = Field(
        "wss://data-stream.binance.vision", description="The stream, which makes minutes come sooner; empty: off"
    )
    archive_url: Annotated[str, AfterValidator(_check_archive_url)] = Field(
        "https://data.binance.vision", description="The archives, for the bulk of a long backfill; empty: off"
    )
    backfill_since: Annotated[str, AfterValidator(_check_since)] = Field(
        "30d", description="Where the record begins: an ISO date or a duration before now"
    )
