"""What is told of the errors that tasks raised side by side."""

import pytest

from shared.error_groups import find_cause, list_errors
from shared.errors import DatabaseOutdatedError, DatabaseUnavailableError, ExchangeError, LeadershipLostError

LOST = LeadershipLostError("lost")
AWAY = DatabaseUnavailableError("away")
BUG = ZeroDivisionError("bug")
OLD = DatabaseOutdatedError("old")
SILENT = ExchangeError("silent")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LOST, LOST),
        (ExceptionGroup("", [LOST, AWAY]), LOST),
        (ExceptionGroup("", [AWAY, BUG]), BUG),
        (ExceptionGroup("", [SILENT, BUG]), BUG),
        (ExceptionGroup("", [OLD, ExceptionGroup("", [SILENT, ExceptionGroup("", [BUG])])]), BUG),
        (ExceptionGroup("", [ExceptionGroup("", [AWAY]), ExceptionGroup("", [LOST, ExceptionGroup("", [OLD])])]), OLD),
        (ExceptionGroup("", [ExceptionGroup("", [AWAY])]), AWAY),
    ],
)
def test_a_mistake_is_told_before_what_lasts_and_that_before_a_mere_interruption(
    error: Exception, cause: Exception
) -> None:
    """However deep it lies."""
    assert find_cause(error) is cause


def test_errors_of_a_group_keep_their_order() -> None:
    """Of groups within it too."""
    assert list_errors(ExceptionGroup("", [AWAY, ExceptionGroup("", [BUG, ExceptionGroup("", [OLD])]), LOST])) == [
        AWAY,
        BUG,
        OLD,
        LOST,
    ]
    assert list_errors(BUG) == [BUG]
