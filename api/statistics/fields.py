"""What `/price/stats` answers with."""

from typing import Final

from api.fields import Field, Object, Type
from api.kinds import BIG_INTEGER, DECIMAL, FLOAT, INTEGER, MICROSECOND, SECOND, TEXT

PERCENTILES: Final = {5: 61000.5, 25: 62000, 75: 66000, 95: 67000}
"""Which there are, each with an example."""
_PRICE: Final = "in the quote currency, exact"


def _optional(
    name: str, type_: Type, description: str, example: object = None, *, sql: str = "", **limits: float
) -> Field:
    return Field(name, type_, description, example, sql=sql, is_nullable=True, limits=limits)


PERCENTILE_FIELDS: Final = tuple(
    _optional(str(percent), DECIMAL, f"{percent} % of the closes are below.", example)
    for percent, example in PERCENTILES.items()
)
# `sql` is of the statement in queries.py; what has none is computed here, from the closes.
STATISTICS: Final = Object(
    "Stats",
    "A range of minutes summed up; nulls where there is no minute.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field("start", MICROSECOND, "The first instant, inclusive."),
        Field("end", MICROSECOND, "The last instant, exclusive."),
        Field("count", INTEGER, "The minutes that are there.", 1440, limits={"minimum": 0}),
        Field("expected", INTEGER, "The minutes that are past.", 1440, limits={"minimum": 0}),
        _optional("completeness", FLOAT, "count / expected; null where nothing is expected.", 1, minimum=0, maximum=1),
        _optional("first", DECIMAL, f"The first close, {_PRICE}.", 66000.01, sql="first"),
        _optional("last", DECIMAL, f"The last close, {_PRICE}.", 67012.34, sql="last"),
        _optional("min", DECIMAL, f"The lowest low, {_PRICE}.", 65123.4, sql="low"),
        _optional("min_at", SECOND, "The first minute that reached it.", sql="low_at"),
        _optional("max", DECIMAL, f"The highest high, {_PRICE}.", 67999.99, sql="high"),
        _optional("max_at", SECOND, "The first minute that reached it.", sql="high_at"),
        _optional("mean", FLOAT, "The mean of the closes.", 66512.25),
        _optional("median", DECIMAL, "The median of the closes, exact.", 66500.005),
        _optional(
            "std", FLOAT, "The sample standard deviation (n - 1) of the closes; null below two.", 412.7, minimum=0
        ),
        Field(
            "percentiles",
            Object(
                "Percentiles",
                "Percentiles of closes, interpolated linearly between neighbours, exact.",
                PERCENTILE_FIELDS,
            ),
            "Percentiles of the closes.",
        ),
        _optional("change", DECIMAL, f"last - first, {_PRICE}.", 1012.33, sql="last - first"),
        _optional(
            "change_percent",
            DECIMAL,
            "change / first, in percent.",
            1.5338331010858,
            sql="(last - first) * 100 / first",
        ),
        _optional(
            "vwap",
            DECIMAL,
            "quote_volume / volume; null where nothing was traded, or the source does not tell.",
            66498.1234567,
            sql="quote_volume / nullif(volume, 0)",
        ),
        _optional("volume", DECIMAL, "The volume traded, in the base currency, exact.", 20481.55, sql="volume"),
        _optional(
            "quote_volume",
            DECIMAL,
            f"The volume traded, {_PRICE}; null where the source does not tell it of every minute.",
            1361983455.12,
            sql="quote_volume",
        ),
        _optional(
            "trades",
            BIG_INTEGER,
            "The number of trades; null where the source does not tell it of every minute.",
            1812345,
            sql="trades",
        ),
        _optional(
            "realised_volatility",
            FLOAT,
            "The root of the summed squared one-minute log returns of closes; none spans a missing minute.",
            0.0213,
            minimum=0,
        ),
        _optional(
            "max_drawdown",
            FLOAT,
            "The deepest fall of a close below an earlier one, as a fraction.",
            -0.0311,
            minimum=-1,
            maximum=0,
        ),
    ),
)
TOTAL_FIELDS: Final = tuple(each for each in STATISTICS.fields if each.sql)
