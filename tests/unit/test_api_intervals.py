"""The intervals of bars: which lengths there can be, and what bars are made from."""

from datetime import timedelta

import pytest

from api.intervals import INTERVALS, Interval
from shared.instant import DAY, MINUTE


@pytest.mark.parametrize(
    ("minutes", "table"),
    [
        (1, "ticks"),
        (10, "ticks"),
        (30, "ticks"),
        (60, "hourly_rollups"),
        (360, "hourly_rollups"),
        (720, "hourly_rollups"),
        (1_440, "daily_rollups"),
    ],
)
def test_bars_are_made_from_the_longest_rows_that_fit(minutes: int, table: str) -> None:
    """Whatever the length, as long as bars lie within hours or days."""
    assert Interval(f"{minutes}m", minutes * MINUTE).table == table


@pytest.mark.parametrize("length", [7 * MINUTE, 45 * MINUTE, 90 * MINUTE, 300 * MINUTE, 2 * DAY, 7 * DAY], ids=str)
def test_length_whose_bars_would_cross_an_hour_or_a_day_is_refused(length: timedelta) -> None:
    """Since rows are grouped within an hour or a day, its bars would be wrong."""
    with pytest.raises(ValueError, match="must divide an hour, or be whole hours that divide a day"):
        Interval("peculiar", length)


def test_intervals_are_named_once() -> None:
    """By the name that is asked for."""
    lengths = [each.length for each in INTERVALS.values()]
    assert len(set(lengths)) == len(INTERVALS)
    assert lengths == sorted(lengths)
