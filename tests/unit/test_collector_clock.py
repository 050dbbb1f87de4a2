"""The exchange's clock: a lower bound that is as good as the best answer, whatever the way to the exchange does."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sources.clock import WINDOW_SECONDS, ExchangeClock
from shared.instant import EPOCH, from_milliseconds
from tests.fake_time import FakeTime

TRUE_OFFSET_MS = 1_700_000_000_000.0


def ask(clock: ExchangeClock, time: FakeTime, there: float, back: float, offset_ms: float = TRUE_OFFSET_MS) -> None:
    """One question that takes `there` and `back` seconds on its way."""
    sent_at = time.seconds
    time.seconds += there
    stated = int(offset_ms + time.seconds * 1000)
    time.seconds += back
    clock.observe(from_milliseconds(stated), sent_at)


def shown_ms(clock: ExchangeClock) -> float:
    """What the clock shows, in milliseconds since 1970."""
    return (clock.now() - EPOCH) / timedelta(milliseconds=1)


latencies = st.floats(0, 10)


@given(st.lists(st.tuples(latencies, latencies, st.floats(0, 400)), min_size=1, max_size=40))
def test_is_never_ahead_of_the_exchange_and_as_near_as_the_best_answer(
    answers: list[tuple[float, float, float]],
) -> None:
    """However unevenly the ways there and back take their time."""
    time = FakeTime()
    clock = ExchangeClock(time)
    bounds: list[tuple[float, float]] = []
    for there, back, pause in answers:
        ask(clock, time, there, back)
        bounds.append((time.seconds, back))
        time.seconds += pause
        truth = TRUE_OFFSET_MS + time.seconds * 1000
        assert shown_ms(clock) <= truth + 0.01
        recent = [late for at, late in bounds if at >= bounds[-1][0] - WINDOW_SECONDS]
        assert shown_ms(clock) >= truth - min(recent) * 1000 - 2


@given(st.floats(-60e-6, 60e-6), st.lists(st.tuples(latencies, latencies), min_size=1, max_size=60))
def test_drift_of_quartz_stays_small(drift: float, answers: list[tuple[float, float]]) -> None:
    """Old answers are forgotten, so that a clock that runs faster than the exchange's does not run away."""
    time = FakeTime()
    clock = ExchangeClock(time)
    for there, back in answers:
        ask(clock, time, there, back, TRUE_OFFSET_MS + drift * time.seconds * 1000)
        time.seconds += 30.0
        truth = TRUE_OFFSET_MS + drift * time.seconds * 1000 + time.seconds * 1000
        assert shown_ms(clock) - truth <= 60e-6 * (WINDOW_SECONDS + 60) * 1000 + 1


@given(st.floats(-1e7, -100), latencies, latencies)
def test_clock_that_is_set_back_is_followed(change_ms: float, there: float, back: float) -> None:
    """As soon as an answer shows it beyond doubt."""
    time = FakeTime()
    clock = ExchangeClock(time)
    ask(clock, time, 0.01, 0.01)
    time.seconds += 1.0
    ask(clock, time, 0.01, 0.01, TRUE_OFFSET_MS + change_ms)
    assert shown_ms(clock) <= TRUE_OFFSET_MS + change_ms + time.seconds * 1000 + 0.01
    ask(clock, time, there, back, TRUE_OFFSET_MS + change_ms)
    assert shown_ms(clock) <= TRUE_OFFSET_MS + change_ms + time.seconds * 1000 + 0.01


def test_clock_that_is_set_ahead_is_followed_with_the_next_answer() -> None:
    """A later bound that is higher is the better one."""
    time = FakeTime()
    clock = ExchangeClock(time)
    ask(clock, time, 0.1, 0.1)
    ask(clock, time, 0.1, 0.1, TRUE_OFFSET_MS + 7_200_000)
    assert shown_ms(clock) == pytest.approx(TRUE_OFFSET_MS + 7_200_000 + time.seconds * 1000, abs=102)


def test_is_unknown_before_the_first_answer() -> None:
    """The machine's own clock is never used instead."""
    clock = ExchangeClock(FakeTime())
    assert not clock.is_known
    with pytest.raises(RuntimeError, match="not told its time"):
        clock.now()


def test_open_minute_is_not_closed_until_its_end_has_certainly_passed() -> None:
    """The minute in which the bound lies is open."""
    time = FakeTime()
    clock = ExchangeClock(time)
    clock.observe(from_milliseconds(1_700_000_099_999), time.seconds)
    assert clock.open_minute() == from_milliseconds(1_700_000_040_000)
    time.seconds += 0.001
    assert clock.open_minute() == from_milliseconds(1_700_000_100_000)
    assert clock.now().isoformat() == "2023-11-14T22:15:00+00:00"


def test_time_in_whole_seconds_is_not_taken_for_a_clock_that_went_back() -> None:
    """What an exchange leaves out of its time is no contradiction."""
    time = FakeTime()
    clock = ExchangeClock(time, resolution=timedelta(seconds=1))
    clock.observe(EPOCH + timedelta(seconds=100), time.seconds)
    time.seconds += 0.9
    clock.observe(EPOCH + timedelta(seconds=100), time.seconds)
    assert clock.now() == EPOCH + timedelta(seconds=100.9)
