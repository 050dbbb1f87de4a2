"""The parameters of `/price/history`."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from api.intervals import INTERVALS
from api.parameters import Order, RowsQuery

Layout = Literal["rows", "columns"]


class HistoryQuery(RowsQuery):
    """Which bars, and how they are written."""

    interval: Literal[*INTERVALS] = Field(  # type: ignore[valid-type] # the names are known when the code runs
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


HistoryParameters = Annotated[HistoryQuery, Query()]
