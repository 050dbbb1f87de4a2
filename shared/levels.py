"""The levels of the intervals that a forecast states: the one place that names them.

A further level is one more number here, and no column anywhere: the database keeps the levels of each forecast beside
its bounds, so that forecasts that were made with other levels stay what they were.
"""

from typing import Final

LEVELS: Final[tuple[int, ...]] = (50, 80, 95)
"""In percent, increasing, JUDGED_LEVELS among them."""

JUDGED_LEVELS: Final = (80, 95)
"""Those that the predictor judges models by; by the first it counts the coverage of each hour of the day."""
