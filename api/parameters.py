"""Query parameters that several routes have, and the checks that hold for every route."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from api.problems import (
    ProblemError,
    make_invalid_parameter_problem,
    make_invalid_parameters_problem,
    make_unknown_parameter_problem,
)
from shared.instant import is_duration, parse_instant
from shared.symbols import normalise_symbol

MAX_ROWS = 10_000
_MAX_QUERY_BYTES = 8_192

_INSTANT = (
    "RFC 3339 (`2026-11-22T12:34:00Z`), a date, epoch milliseconds, "
    "or a duration (`24h`, `7d`) before the end of the newest closed minute"
)

# What `normalise_symbol` accepts, for the documentation.
_SYMBOL = r"^([A-Za-z0-9]{1,20}|[A-Za-z][A-Za-z0-9]{0,19}:[A-Za-z0-9][A-Za-z0-9._/-]{0,29})$"

Order = Literal["asc", "desc"]
Format = Literal["json", "csv"]


def _check_symbol(text: str) -> str:
    normalise_symbol(text)
    if text != text.strip():
        raise ValueError("there is a space around the symbol")
    return text


class SymbolQuery(BaseModel):
    """Which symbol; kept as the reader wrote it."""

    symbol: (
        Annotated[str, AfterValidator(_check_symbol), WithJsonSchema({"type": "string", "pattern": _SYMBOL})] | None
    ) = Field(
        None,
        description="A collected symbol; the first that is collected if absent. Another source's carry its name: "
        "`coinbase:BTC-USD`.",
        examples=["BTCUSDT"],
    )


class RangeQuery(SymbolQuery):
    """Which minutes: those that open in [start, end)."""

    start: str | None = Field(
        None, min_length=1, max_length=64, description=f"The first instant, inclusive: {_INSTANT}.", examples=["24h"]
    )
    end: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description=f"The last instant, exclusive: {_INSTANT}. The newest closed minute's end if absent.",
        examples=["2026-11-22T12:34:00Z"],
    )


class PageQuery(RangeQuery):
    """Which page of a range."""

    cursor: str | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        description="`next_cursor` of the page before, with the other parameters as they were.",
    )


class RowsQuery(PageQuery):
    """Which rows of a range, as pages or as one table."""

    limit: int | None = Field(
        None,
        ge=1,
        le=MAX_ROWS,
        description="The number of rows on a page: 100 if absent for JSON; without it CSV is the whole range.",
        examples=[100],
    )
    format: Format = Field("json", description="`json` or `csv`; CSV has the same values, and nothing for null.")

    @property
    def is_table(self) -> bool:
        """Whether the whole range is wanted rather than a page."""
        return self.format == "csv" and self.limit is None


SymbolParameters = Annotated[SymbolQuery, Query()]


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise ProblemError for a parameter that the route does not document, or one that is given twice."""
    query = request.scope["query_string"]
    if not query:
        return
    if len(query) > _MAX_QUERY_BYTES:
        raise ProblemError(400, "invalid-parameter", f"A query string has at most {_MAX_QUERY_BYTES} bytes.")
    known = _documented_parameters(request)
    seen = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise make_unknown_parameter_problem(name, known)
        if name in seen:
            raise make_invalid_parameter_problem(name, "it is given more than once")
        seen.add(name)


def _documented_parameters(request: Request) -> frozenset[str]:
    """Return the names that OpenAPI documents for the request's route; a page outside of it takes none."""
    path = request.app.openapi()["paths"].get(request.scope["route"].path, {"get": {}})
    return frozenset(item["name"] for item in path["get"].get("parameters", ()))


def read_range(start: str | None, end: str | None, until: datetime) -> tuple[datetime | None, datetime]:
    """Return the range asked for, up to `until` where no end is given; raises ProblemError, also for a reversed one.

    Durations count back from `until`, the end of the newest closed minute, so that `24h` are always 1,440 minutes.
    """
    errors = {}
    instants: dict[str, datetime] = {}
    for name, text in (("start", start), ("end", end)):
        if text is not None:
            try:
                instants[name] = parse_instant(text, until)
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        raise make_invalid_parameters_problem(errors)
    first, last = instants.get("start"), instants.get("end", until)
    if first is not None and "end" in instants and first >= last:
        raise make_invalid_parameter_problem("start", f"'{start}' is not before the end, '{end}'")
    return first, last


def is_fixed_range(start: str | None, end: str | None) -> bool:
    """Whether the range that `read_range` reads does not move with the clock.

    Without a start it reaches from the end back to the record's beginning, or so many rows or minutes.
    """
    return end is not None and not any(is_duration(text) for text in (start, end) if text is not None)
