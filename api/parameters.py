"""Query parameters: what each means, and the checks that hold for every route."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field

from api.problems import ProblemError, invalid_parameter, invalid_parameters, unknown_parameter
from shared.instant import is_duration, parse_duration, parse_instant

MAX_ROWS = 10_000
# Minutes; no forecast looks further ahead than a day.
MAX_HORIZON = 1_440
_MAX_QUERY_BYTES = 8_192

_INSTANT = (
    "RFC 3339 (`2026-11-22T12:34:00Z`), a date, epoch milliseconds, "
    "or a duration (`24h`, `7d`) before the end of the newest closed minute"
)

Order = Literal["asc", "desc"]
Layout = Literal["rows", "columns"]
Format = Literal["json", "csv"]


class SymbolQuery(BaseModel):
    """Which symbol."""

    symbol: str | None = Field(
        None,
        pattern="^[A-Za-z0-9]{1,20}$",
        description="A collected symbol; the first that is collected if absent.",
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


class HistoryQuery(RowsQuery):
    """Which bars, and how they are written."""

    interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d"] = Field(
        "1m", description="The length of a bar. Only finished bars are served."
    )
    order: Order = Field("asc", description="By time: `asc`, the oldest first, or `desc`, the newest first.")
    features: str = Field(
        "default",
        max_length=2_000,
        description="`default`, `none`, `all`, or a comma list of the names below.",
        examples=["default"],
    )
    layout: Layout = Field("rows", description="JSON's `data`: an object a row, or an array a column.")


class StatsQuery(RangeQuery):
    """Which minutes are summed up."""

    window: str | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="A duration up to the newest closed minute, instead of start and end; 24h if all are absent.",
        examples=["24h"],
    )


class GapsQuery(PageQuery):
    """Which days are looked through."""

    limit: int = Field(3_660, ge=1, le=MAX_ROWS, description="The number of days on a page.")


def _horizon(description: str) -> Any:
    return Field(None, ge=1, le=MAX_HORIZON, description=description, examples=[60])


class PredictQuery(SymbolQuery):
    """Which forecasts."""

    horizon: int | None = _horizon("How far ahead, in minutes; every horizon if absent.")


class ForecastHistoryQuery(RowsQuery):
    """Which past forecasts, by the time when they were made, and how they are written."""

    horizon: int | None = _horizon("Only forecasts so many minutes ahead; of every horizon if absent.")
    order: Order = Field("asc", description="By time, then horizon: `asc`, the oldest first, or `desc`, the newest.")


SymbolParameters = Annotated[SymbolQuery, Query()]
HistoryParameters = Annotated[HistoryQuery, Query()]
StatsParameters = Annotated[StatsQuery, Query()]
GapsParameters = Annotated[GapsQuery, Query()]
PredictParameters = Annotated[PredictQuery, Query()]
ForecastHistoryParameters = Annotated[ForecastHistoryQuery, Query()]


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
            raise unknown_parameter(name, known)
        if name in seen:
            raise invalid_parameter(name, "it is given more than once")
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
        raise invalid_parameters(errors)
    first, last = instants.get("start"), instants.get("end", until)
    if first is not None and "end" in instants and first >= last:
        raise invalid_parameter("start", f"'{start}' is not before the end, '{end}'")
    return first, last


def is_fixed_range(start: str | None, end: str | None) -> bool:
    """Whether the range that `read_range` reads does not move with the clock.

    Without a start it reaches from the end back to the record's beginning, or so many rows or minutes.
    """
    return end is not None and not any(is_duration(text) for text in (start, end) if text is not None)


def read_window(text: str, until: datetime) -> tuple[datetime, datetime]:
    """Return the range of the duration before `until`; raises ProblemError."""
    try:
        parse_duration(text)
        return parse_instant(text, until), until
    except ValueError as error:
        raise invalid_parameter("window", str(error)) from error
