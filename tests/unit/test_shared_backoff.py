"""Pauses between tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    """And the first one is short again after a success."""
    backoff = Backoff(0.5, 3.0, jitter=0.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.failures == 5
    backoff.reset()
    assert (backoff.failures, backoff.next()) == (0, 0.5)


def test_no_number_of_failures_is_too_many() -> None:
    """Something can be away for weeks."""
    backoff = Backoff(30.0, 1800.0)
    pauses = [backoff.next() for _ in range(5000)]
    assert all(900.0 < pause <= 1800.0 for pause in pauses[10:])


@given(st.floats(0.001, 10), st.floats(1, 1000), st.floats(0, 0.99), st.lists(st.floats(0, 1, exclude_max=True)))
def test_jitter_only_shortens(first: float, ratio: float, jitter: float, draws: list[float]) -> None:
    """By that share at most, so that a bound on the pause holds."""
    drawn = iter(draws)
    backoff = Backoff(first, first * ratio, jitter, lambda: next(drawn))
    whole = Backoff(first, first * ratio, jitter=0.0)
    for _ in draws:
        pause, longest = backoff.next(), whole.next()
        assert longest * (1 - jitter) <= pause <= longest <= first * ratio


@pytest.mark.parametrize("wrong", [(0, 1, 0.5), (2, 1, 0.5), (1, 2, 1.0), (1, 2, -0.1)])
def test_bounds_that_make_no_sense_are_refused(wrong: tuple[float, float, float]) -> None:
    """A programmer's mistake."""
    with pytest.raises(ValueError, match="a backoff needs"):
        Backoff(*wrong)
