"""What `/price/history` answers with: the fields of a bar, of its features, and of a page of them."""

from functools import lru_cache
from typing import Final

from api.fields import EitherOf, Field, ListOf, Object
from api.intervals import INTERVALS
from api.kinds import DECIMAL, FLOAT, INTEGER, MICROSECOND, SECOND, TEXT, one_of
from api.missing import MISSING_RUN
from api.tables import Table
from shared.feature_table import FEATURES

_PRICE: Final = "in the quote currency, exact"
_AMOUNT: Final = "in the base currency, exact"

# `sql` is of a bar as the statements in queries.py have it.
BAR_FIELDS: Final = (
    Field("timestamp", SECOND, "The bar's open, UTC.", "2026-11-22T12:34:00Z", sql="at"),
    Field("price", DECIMAL, f"The close, {_PRICE}.", 67012.34, sql="close"),
    Field("open", DECIMAL, f"The first price, {_PRICE}.", 67000.01),
    Field("high", DECIMAL, f"The highest price, {_PRICE}.", 67020),
    Field("low", DECIMAL, f"The lowest price, {_PRICE}.", 66990.5),
    Field("volume", DECIMAL, f"The volume traded, {_AMOUNT}.", 12.34567),
    Field("trades", INTEGER, "The number of trades; null where the source does not tell.", 812, is_nullable=True),
    Field("source", TEXT, "Where the minutes are from; `mixed` for several.", "binance"),
    Field("created_at", MICROSECOND, "When its newest minute was stored.", "2026-11-22T12:35:00.412901Z"),
)

# The numbers among them, with the names that they have in a bar: they travel as texts, the others as arrays.
NUMBER_COLUMNS: Final = {
    column.name: column.sql for each in BAR_FIELDS for column in each.columns() if not column.kind.is_quoted
}

# Features that are decimals by nature, with their SQL: Postgres computes them, exactly.
EXACT_FEATURES: Final = {"price_range": "high - low"}


def _make_feature_field(name: str) -> Field:
    feature = FEATURES[name]
    text = f"{feature.formula} [{feature.unit}]. Source: {feature.source}."
    if name in EXACT_FEATURES:
        return Field(name, DECIMAL, f"{text} Exact.", sql=EXACT_FEATURES[name], is_required=False)
    return Field(name, FLOAT, f"{text} Null without a full window.", is_nullable=True, is_required=False)


FEATURE_FIELDS: Final = {name: _make_feature_field(name) for name in FEATURES}


@lru_cache(256)
def make_table(features: tuple[str, ...]) -> Table:
    """Return how rows with these features are written."""
    return Table((*BAR_FIELDS, *(FEATURE_FIELDS[name] for name in features)))


ROW: Final = Object("Row", "A bar and the features asked for.", (*BAR_FIELDS, *FEATURE_FIELDS.values()))
COLUMNS: Final = Object(
    "Columns",
    "The same values, an array a column.",
    tuple(
        Field(each.name, ListOf(each.type, each.is_nullable), each.description, is_required=each.is_required)
        for each in ROW.fields
    ),
)
HISTORY: Final = Object(
    "History",
    "A page of bars.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field("start", MICROSECOND, "The range's first instant; with the newest rows, the first of them."),
        Field("end", MICROSECOND, "The range's end, exclusive."),
        Field("interval", one_of(*INTERVALS), "The length of a bar.", "1m"),
        Field("count", INTEGER, "The number of rows on this page.", 100, limits={"minimum": 0}),
        Field(
            "data", EitherOf((ListOf(ROW), COLUMNS)), "`layout=rows`: an object a row; `columns`: an array a column."
        ),
        Field("next_cursor", TEXT, "For the next page; null at the end.", is_nullable=True),
        Field("gaps", ListOf(MISSING_RUN), "The minutes missing from what this page covers, oldest first."),
    ),
)
