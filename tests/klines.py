"""Rows of klines for tests: as the exchange sends them, good and bad."""

from datetime import datetime
from typing import Any

from collector.klines import Kline
from shared.instant import MINUTE_MS, to_milliseconds


def row(minute: datetime, price: str = "100.5", **changes: Any) -> list[Any]:
    """A good row of twelve fields, with some of them changed by name."""
    minute_ms = to_milliseconds(minute)
    fields: dict[str, Any] = {
        "time": minute_ms,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": "1.25",
        "close_time": minute_ms + MINUTE_MS - 1,
        "quote": "125.625",
        "trades": 7,
        "taker_base": "0.5",
        "taker_quote": "50.25",
        "ignore": "0",
    }
    assert changes.keys() <= fields.keys()
    return list((fields | changes).values())


def kline(minute: datetime, price: str = "100.5", **changes: Any) -> Kline:
    """The same as the collector's own type; changes go by its fields."""
    return Kline(minute, price, price, price, price, "1.25", "125.625", 7, "0.5", "50.25")._replace(**changes)
