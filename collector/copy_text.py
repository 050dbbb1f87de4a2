"""Minutes as text that Postgres copies into `ticks` as it is: the quick way for a file that holds very many of them."""

from dataclasses import dataclass

from shared.runs import Run

COPY_COLUMNS = (
    "minute",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_base_volume",
    "taker_quote_volume",
    "symbol",
    "source",
)


class UnusualRowError(Exception):
    """A file has a row that has to be parsed to be checked; the file must be read row by row."""


@dataclass(frozen=True)
class CopyText:
    """Lines of CSV with COPY_COLUMNS, in pieces; how many minutes they are, and the run that they lie in."""

    pieces: list[bytes]
    count: int
    span: Run


def quote_field(text: str) -> str:
    """Return text as one field of a CSV."""
    return '"' + text.replace('"', '""') + '"'
