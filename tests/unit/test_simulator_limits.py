"""Weight and requests are counted, refused and in the end banned."""

import pytest

from simulator.limits import LONGEST_BAN_SECONDS, Limiter, Limits, Refusal


class Watch:
    """The machine's time, moved by a test; it starts 20 s into a minute."""

    now = 1_767_614_420.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def limiter(watch: Watch, **limits: int) -> Limiter:
    return Limiter(Limits(**limits), watch)


def statuses(limited: Limiter, times: int) -> list[int]:
    return [200 if (refusal := limited.admit(1)) is None else refusal.status for _ in range(times)]


def test_weight_is_counted_by_minute(watch: Watch) -> None:
    """A new minute begins at nothing."""
    limited = limiter(watch)
    assert [limited.admit(2), limited.admit(20)] == [None, None]
    assert limited.used_weight == 22
    watch.now += 40
    assert limited.used_weight == 0


def test_beyond_the_limit_requests_are_refused_until_the_minute_ends(watch: Watch) -> None:
    """Retry-After is what is left of the minute."""
    limited = limiter(watch, weight_a_minute=10)
    assert limited.admit(10) is None
    assert limited.admit(1) == Refusal(429, 40.0)
    watch.now += 39.5
    assert limited.admit(1) == Refusal(429, 0.5)
    watch.now += 0.5
    assert limited.admit(1) is None


def test_the_count_of_requests_is_limited_too(watch: Watch) -> None:
    """By windows of five minutes, whatever they weigh."""
    limited = limiter(watch, requests_in_five_minutes=2)
    assert statuses(limited, 2) == [200, 200]
    refusal = limited.admit(0)
    assert refusal is not None
    assert (refusal.status, refusal.of_weight) == (429, False)
    assert 0 < refusal.seconds <= 300


def test_going_on_after_a_429_brings_a_ban(watch: Watch) -> None:
    """A few more are refused, then the address is banned for the ban's whole length."""
    limited = limiter(watch, weight_a_minute=10, refusals_before_ban=3, ban_seconds=120)
    assert statuses(limited, 15) == [200] * 10 + [429] * 3 + [418] * 2
    watch.now += 119
    assert statuses(limited, 1) == [418]
    watch.now += 1
    assert statuses(limited, 1) == [200]


def test_bans_grow_while_requests_go_on(watch: Watch) -> None:
    """Each ban is twice as long, at most three days."""
    limited = limiter(watch, weight_a_minute=1, refusals_before_ban=1, ban_seconds=120)
    lengths = [refusal.seconds for _ in range(60) if (refusal := limited.admit(1)) and refusal.status == 418]
    assert lengths == sorted(lengths)
    assert {120.0, 240.0, 480.0, LONGEST_BAN_SECONDS} <= set(lengths)
    assert max(lengths) == LONGEST_BAN_SECONDS


def test_retry_after_is_whole_seconds_and_never_too_few() -> None:
    """Rounded up."""
    assert [Refusal(429, seconds).retry_after for seconds in (0.01, 1.0, 1.2)] == [1, 1, 2]


def test_a_reset_forgets_everything(watch: Watch) -> None:
    """Bans included."""
    limited = limiter(watch)
    limited.ban(1000)
    limited.reset()
    assert statuses(limited, 1) == [200]
