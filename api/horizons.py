"""Horizons that are forecast, and what is said of others."""

from typing import Final

from api.outlook import Outlook
from api.problems import ProblemError

NO_HORIZON: Final = "The horizon is not forecast."


def check_horizon(horizon: int | None, outlook: Outlook) -> None:
    """Raise ProblemError for a horizon that no model of the symbol has; before the first model any may come."""
    if horizon is None or not outlook.horizons or horizon in outlook.horizons:
        return
    known = ", ".join(map(str, outlook.horizons))
    raise ProblemError(
        404,
        "unknown-horizon",
        f"{outlook.symbol} is not forecast over {horizon} minutes; there are: {known}.",
        errors={"horizon": f"not forecast; there are: {known}"},
    )
