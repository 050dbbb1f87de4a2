"""Horizons that are forecast, and the answer to a request for others."""

from typing import Final

from api.forecast_status import ForecastStatus
from api.problems import ProblemError

NO_HORIZON: Final = "The horizon is not forecast."


def check_horizon(horizon: int | None, status: ForecastStatus) -> None:
    """Raise ProblemError for a horizon that no model of the symbol has; before the first model any may come."""
    if horizon is None or not status.horizons or horizon in status.horizons:
        return
    known = ", ".join(map(str, status.horizons))
    raise ProblemError(
        404,
        "unknown-horizon",
        f"{status.symbol} is not forecast over {horizon} minutes; there are: {known}.",
        errors={"horizon": f"not forecast; there are: {known}"},
    )
