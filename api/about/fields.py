"""What `/` answers with."""

from typing import Final

from api.fields import Field, MapOf, Object
from api.kinds import TEXT

LINK: Final = Object(
    "Link",
    "Where something is.",
    (Field("href", TEXT, "The path.", "/price/latest"), Field("title", TEXT, "What is there.", "The newest minute")),
)
ROOT: Final = Object(
    "Root",
    "What this is, and where everything is.",
    (
        Field("name", TEXT, "The product.", "Minutebook"),
        Field("version", TEXT, "Its version.", "0.1.0"),
        Field("links", MapOf(LINK), "Every route, by name."),
    ),
)
