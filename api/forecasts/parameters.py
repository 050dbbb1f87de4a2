"""The parameters of `/price/predict` and of what lies below it."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from api.parameters import Order, RowsQuery, SymbolQuery

# Minutes; no forecast looks further ahead than a day.
MAX_HORIZON = 1_440


def _horizon(description: str) -> Any:
    return Field(None, ge=1, le=MAX_HORIZON, description=description, examples=[60])


class PredictQuery(SymbolQuery):
    """Which forecasts."""

    horizon: int | None = _horizon("How far ahead, in minutes; every horizon if absent.")


class PastForecastsQuery(RowsQuery):
    """Which past forecasts, by the time when they were made, and how they are written."""

    horizon: int | None = _horizon("Only forecasts so many minutes ahead; of every horizon if absent.")
    order: Order = Field("asc", description="By time, then horizon: `asc`, the oldest first, or `desc`, the newest.")


PredictParameters = Annotated[PredictQuery, Query()]
PastForecastsParameters = Annotated[PastForecastsQuery, Query()]
