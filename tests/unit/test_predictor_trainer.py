"""When a symbol is to be trained."""

from datetime import UTC, datetime, timedelta

import pytest

from predictor.schedule import Schedule
from predictor.store import Training
from predictor.trainer import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Pauses, is_due

NIGHTLY = Schedule("15 3 * * *")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours_ago", "has_no_champion", "is_wanted"),
    [
        (None, False, True),
        (None, True, True),
        (1, False, False),
        (1, True, True),
        (0.16, True, False),
        (8.74, False, False),
        (8.75, False, False),
        (8.76, False, True),
        (100, False, True),
    ],
)
def test_training_is_due_once_after_each_scheduled_time(
    hours_ago: float | None, has_no_champion: bool, is_wanted: bool
) -> None:
    """One that was missed while nobody ran is made up for; without a champion any time is right."""
    last = None if hours_ago is None else Training(NOON - timedelta(hours=hours_ago), 1)
    assert is_due(last, NIGHTLY, NOON, has_no_champion=has_no_champion) == is_wanted


@pytest.mark.parametrize("last", [None, Training(NOON - timedelta(days=9), 1)])
def test_nothing_is_due_where_the_schedule_is_off(last: Training | None) -> None:
    """Neither the first model nor one that is missing."""
    assert not is_due(last, Schedule("off"), NOON, has_no_champion=True)


def test_failed_training_is_tried_again_with_growing_pauses_up_to_a_bound() -> None:
    """And begins small again after a success."""
    pauses = Pauses()
    lengths = [pauses.fail() for _ in range(12)]
    assert lengths[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert lengths[-1] == LONGEST_PAUSE_SECONDS
    assert pauses.seconds > 0
    pauses.succeed()
    assert (pauses.seconds, pauses.until) == (0, None)
    assert pauses.fail() == FIRST_PAUSE_SECONDS
