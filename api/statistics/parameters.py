"""The parameters of `/price/stats`, and the range that they ask for."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.parameters import RangeQuery, read_range
from api.problems import make_invalid_parameter_problem
from shared.instant import DAY, parse_duration, parse_instant


class StatsQuery(RangeQuery):
    """Which minutes are summed up."""

    window: str | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="A duration up to the newest closed minute, instead of start and end; 24h if all are absent.",
        examples=["24h"],
    )

    def range(self, until: datetime) -> tuple[datetime, datetime]:
        """Return the range asked for, where `until` is the newest closed minute's end; raises ProblemError."""
        if self.window is None:
            start, end = read_range(self.start, self.end, until)
            return (end - DAY if start is None else start), end
        if self.start is not None or self.end is not None:
            raise make_invalid_parameter_problem("window", "it stands for start and end; give either it or those")
        try:
            parse_duration(self.window)
            return parse_instant(self.window, until), until
        except ValueError as error:
            raise make_invalid_parameter_problem("window", str(error)) from error


StatsParameters = Annotated[StatsQuery, Query()]
