"""The collector's settings; those of a source lie in its folder."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from collector.sources.registry import check_sources
from shared.instant import parse_instant, utc_now
from shared.settings import CommaList, PostgresUrl, Settings
from shared.symbols import check_symbols


def _check_since(text: str) -> str:
    now = utc_now()
    if parse_instant(text, now) > now:
        raise ValueError(f"'{text}' lies in the future; a record can only begin in the past")
    return text


class CollectorSettings(Settings):
    """What is collected, and into which database."""

    model_config = SettingsConfigDict(env_prefix="COLLECTOR_")

    database_url: PostgresUrl = Field(
        description="Postgres as the role `collector`; several hosts are allowed; none outside `make run`"
    )
    symbols: Annotated[CommaList, AfterValidator(check_symbols), AfterValidator(check_sources)] = Field(
        ("BTCUSDT",),
        description="A comma list of symbols, of another source than Binance with its name in front, such as "
        "coinbase:BTC-USD; the API's default is the first",
    )
    backfill_since: Annotated[str, AfterValidator(_check_since)] = Field(
        "30d", description="Where the record begins: an ISO date or a duration before now"
    )
