"""When a symbol is to be trained."""

from datetime import UTC, datetime, timedelta

import pytest

from predictor.queries.trainings import LastTraining
from predictor.schedule import Schedule
from predictor.service.retry_pause import FIRST_SECONDS, LONGEST_SECONDS, RetryPause
from predictor.service.trainer import is_due

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
    last = None if hours_ago is None else LastTraining(NOON - timedelta(hours=hours_ago), 1)
    assert is_due(last, NIGHTLY, NOON, has_no_champion=has_no_champion) == is_wanted


@pytest.mark.parametrize("last", [None, LastTraining(NOON - timedelta(days=9), 1)])
def test_nothing_is_due_where_the_schedule_is_off(last: LastTraining | None) -> None:
    """Neither the first model nor one that is missing."""
    assert not is_due(last, Schedule("off"), NOON, has_no_champion=True)


def test_failed_training_is_tried_again_with_growing_pauses_up_to_a_bound() -> None:
    """And begins small again after a success."""
    pause = RetryPause(draw=lambda: 0.0)
    lengths = [pause.begin() for _ in range(12)]
    assert lengths[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert lengths[-1] == LONGEST_SECONDS
    assert pause.seconds > 0
    pause.reset()
    assert (pause.seconds, pause.until) == (0, None)
    assert pause.begin() == FIRST_SECONDS


def test_training_that_fails_for_weeks_does_not_end_the_predictor() -> None:
    """Two to the power of its failures would overflow after a thousand of them, some three weeks."""
    pause = RetryPause()
    lengths = [pause.begin() for _ in range(5_000)]
    assert all(LONGEST_SECONDS / 2 <= length <= LONGEST_SECONDS for length in lengths[10:])
    assert pause.until is not None
