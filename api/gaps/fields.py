"""What `/price/gaps` answers with."""

from typing import Final

from api.fields import Field, ListOf, Object
from api.kinds import FLOAT, INTEGER, SECOND, TEXT
from api.missing import MISSING_RUN

_START, _END, _CAUSE = MISSING_RUN.fields
GAP: Final = Object(
    "Gap",
    "A run of missing minutes, with its length.",
    (_START, _END, Field("minutes", INTEGER, "How many minutes are missing.", 80, limits={"minimum": 1}), _CAUSE),
)
DAY: Final = Object(
    "Day",
    "How complete a day is.",
    (
        Field("day", SECOND, "The day's beginning, UTC.", "2023-03-24T00:00:00Z"),
        Field("count", INTEGER, "The minutes that are there.", 1360, limits={"minimum": 0}),
        Field("expected", INTEGER, "The minutes that are past, in the range.", 1440, limits={"minimum": 1}),
        Field("completeness", FLOAT, "count / expected.", 0.9444444444444444, limits={"minimum": 0, "maximum": 1}),
    ),
)
GAPS: Final = Object(
    "Gaps",
    "What is missing in [start, end), and why.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field("start", SECOND, "The first instant that this page covers."),
        Field("end", SECOND, "The end of what this page covers, exclusive."),
        Field("expected", INTEGER, "The minutes of [start, end) that are past.", 43200, limits={"minimum": 0}),
        Field("count", INTEGER, "How many of them are there.", 43120, limits={"minimum": 0}),
        Field("missing", INTEGER, "How many of them are not.", 80, limits={"minimum": 0}),
        Field(
            "completeness",
            FLOAT,
            "count / expected; null where nothing is expected.",
            0.9981481481481481,
            is_nullable=True,
            limits={"minimum": 0, "maximum": 1},
        ),
        Field("gaps", ListOf(GAP), "The runs of missing minutes, oldest first."),
        Field("days", ListOf(DAY), "Every day that the page touches, oldest first."),
        Field("next_cursor", TEXT, "For the next page; null at the end.", is_nullable=True),
    ),
)
