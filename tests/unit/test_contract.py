"""What clients rely on by name: a change here is one of the API's contract."""

from api.intervals import INTERVALS
from shared.levels import JUDGED_LEVELS, LEVELS


def test_intervals_of_bars() -> None:
    """Each by its name, the shortest first."""
    assert list(INTERVALS) == ["1m", "5m", "15m", "30m", "1h", "4h", "1d"]


def test_levels_of_forecasts() -> None:
    """In percent; those that models are judged by are always among them."""
    assert LEVELS == (50, 80, 95)
    assert JUDGED_LEVELS == (80, 95)
    assert set(JUDGED_LEVELS) <= set(LEVELS)
