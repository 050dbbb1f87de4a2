"""How an answer shows runs of missing minutes."""

from api.fields import Field, Object
from api.kinds import SECOND, one_of

MISSING_RUN = Object(
    "MissingRun",
    "Missing minutes in a row, with one cause.",
    (
        Field("start", SECOND, "The first missing minute.", "2023-03-24T12:40:00Z"),
        Field("end", SECOND, "The end of the last one, exclusive.", "2023-03-24T14:00:00Z"),
        Field(
            "cause",
            one_of("source_absent", "not_collected"),
            "`source_absent`: the exchange was asked and has none; `not_collected`: not fetched yet.",
            "source_absent",
        ),
    ),
)
