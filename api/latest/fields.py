"""What `/price/latest` answers with."""

from typing import Final

from api.fields import Field, Object
from api.kinds import BOOLEAN, DECIMAL, FLOAT, INTEGER, MICROSECOND, SECOND, TEXT

_PRICE: Final = "in the quote currency, exact"

# `sql` is of a row of ticks.
TICK_FIELDS: Final = (
    Field("price", DECIMAL, f"The close, {_PRICE}.", 67012.34, sql="close"),
    Field("timestamp", SECOND, "The minute's open, UTC.", "2026-11-22T12:34:00Z", sql="minute"),
    Field("open", DECIMAL, f"The first price, {_PRICE}.", 67000.01),
    Field("high", DECIMAL, f"The highest price, {_PRICE}.", 67020),
    Field("low", DECIMAL, f"The lowest price, {_PRICE}.", 66990.5),
    Field("volume", DECIMAL, "The volume traded, in the base currency, exact.", 12.34567),
    Field(
        "quote_volume",
        DECIMAL,
        f"The volume traded, {_PRICE}; null where the source does not tell.",
        827312.1043,
        is_nullable=True,
    ),
    Field("trades", INTEGER, "The number of trades; null where the source does not tell.", 812, is_nullable=True),
    Field("source", TEXT, "Where the minute is from.", "binance"),
    Field("created_at", MICROSECOND, "When it was stored.", "2026-11-22T12:35:00.412901Z"),
)
LATEST: Final = Object(
    "Latest",
    "The newest closed minute.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        *TICK_FIELDS,
        Field(
            "age_seconds",
            FLOAT,
            "Seconds from the minute's close to the exchange's now.",
            12.345,
            limits={"minimum": 0},
        ),
        Field("stale", BOOLEAN, "Whether the age is beyond 120 s.", example=False),
    ),
)
