"""The gate: pauses, budget and slow probing, which all tasks obey together."""

import asyncio
import itertools
import math
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sources import request_gate
from collector.sources.binance.rest import read_ban
from collector.sources.clock import ExchangeClock
from collector.sources.request_gate import RequestGate
from collector.sources.retry_after import choose_pause
from shared.instant import from_milliseconds, utc_now
from shared.lifecycle import Stopping
from tests.fake_time import FakeTime

NOW_MS = 1_700_000_000_000
WEIGHT = 1200


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Let waits pass at once, by the fake clock."""
    fake = FakeTime()

    async def wait(event: asyncio.Event, seconds: float) -> bool:
        await asyncio.sleep(0)
        if not event.is_set():
            fake.seconds += max(0.0, seconds)
        return event.is_set()

    monkeypatch.setattr(request_gate, "wait", wait)
    return fake


def make_gate(time: FakeTime, hosts: int = 3, stop: asyncio.Event | None = None) -> RequestGate:
    """A gate whose exchange stands at the fake time, at the beginning of a minute."""
    clock = ExchangeClock(time)
    clock.observe(from_milliseconds(NOW_MS - NOW_MS % 60_000), time.seconds)
    return RequestGate("test", clock, stop or asyncio.Event(), weight_per_minute=WEIGHT, hosts=hosts, monotonic=time)


async def admitted_at(
    gate: RequestGate, time: FakeTime, count: int, then: Callable[[], None] | None = None
) -> list[float]:
    """When so many requests in a row are let through."""
    moments = []
    for _ in range(count):
        await gate.admit(1, urgent=True)
        moments.append(time.seconds)
        if then:
            then()
    return moments


async def test_nothing_passes_during_a_pause_whoever_asks(time: FakeTime) -> None:
    """Live or history, any weight."""
    gate = make_gate(time)
    gate.pause(30, "HTTP 429")
    end = time.seconds + 30

    async def ask(weight: int, urgent: bool) -> float:
        await gate.admit(weight, urgent=urgent)
        return time.seconds

    moments = await asyncio.gather(ask(2, True), ask(2, False), ask(0, False), ask(20, True))
    assert min(moments) > end
    assert gate.pause_seconds() == 0


async def test_longer_pause_wins_and_a_shorter_one_changes_nothing(time: FakeTime) -> None:
    """In whatever order the answers come."""
    gate = make_gate(time)
    gate.pause(100, "banned")
    gate.pause(5, "HTTP 429")
    assert gate.pause_seconds() > 100
    assert gate.pause_reason == "banned"
    gate.pause(300, "banned again")
    assert gate.pause_seconds() > 300


async def test_success_does_not_lift_a_pause(time: FakeTime) -> None:
    """An answer to a request that was under way already is no permission."""
    gate = make_gate(time)
    gate.pause(60, "HTTP 429")
    gate.note_answer(5)
    assert gate.pause_seconds() > 59


async def test_taking_a_pause_up_again_does_not_lengthen_it(time: FakeTime) -> None:
    """However often a collector is restarted during a ban, the ban ends."""
    gate = make_gate(time)
    gate.pause(60, "HTTP 418")
    for _ in range(100):
        gate.resume_pause(gate.pause_seconds(), gate.pause_reason)
    assert gate.pause_seconds() == pytest.approx(61)


async def test_history_leaves_weight_for_the_live_minute(time: FakeTime) -> None:
    """History waits for the next minute at half of the limit, the live minute at nine tenths."""
    gate = make_gate(time)
    gate.set_weight_limit(100)
    began_at = time.seconds
    for _ in range(25):
        await gate.admit(2)
    assert time.seconds == began_at
    await gate.admit(2, urgent=True)
    assert time.seconds == began_at
    await gate.admit(2)
    assert 59 < time.seconds - began_at < 62


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.floats(0, 20)), min_size=1, max_size=60))
def test_weight_of_no_minute_goes_over_its_share(requests: list[tuple[int, bool, float]]) -> None:
    """Counted by the exchange's minutes; a request that is heavier than the share passes in a fresh minute."""
    time = FakeTime()
    used: dict[int, int] = {}

    async def send() -> None:
        gate = make_gate(time)
        gate.set_weight_limit(100)
        for weight, urgent, pause in requests:
            while (delay := gate._delay_seconds(weight, 0.9 if urgent else 0.5)) > 0:
                time.seconds += delay
            await gate.admit(weight, urgent=urgent)
            minute = gate._minute()
            before = used.get(minute, 0)
            assert not before or before + weight <= (90 if urgent else 50)
            used[minute] = before + weight
            time.seconds += pause

    asyncio.run(send())


async def test_weight_that_others_used_counts(time: FakeTime) -> None:
    """The exchange's header says what the whole address used."""
    gate = make_gate(time)
    began_at = time.seconds
    gate.note_answer(WEIGHT)
    assert gate.weight_used == WEIGHT
    await gate.admit(0)
    assert time.seconds == began_at
    await gate.admit(2, urgent=True)
    assert time.seconds > began_at + 59


async def test_with_every_host_down_there_are_at_most_four_requests_a_second_and_ever_fewer(time: FakeTime) -> None:
    """The pauses grow to a bound, so that the return is noticed."""
    gate = make_gate(time, hosts=3)
    gate.note_failure()
    moments = await admitted_at(gate, time, 60, gate.note_failure)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(sum(first <= moment < first + 1.0 for moment in moments) <= 4 for first in moments)
    assert max(gaps) <= 10.0
    assert max(gaps[:2]) <= 1.2
    assert min(gaps[-10:]) >= 5.0


async def test_tasks_that_fail_side_by_side_share_the_slow_probing(time: FakeTime) -> None:
    """Ten tasks together are no faster than one."""
    gate = make_gate(time, hosts=7)
    gate.note_failure()
    moments: list[float] = []

    async def insist() -> None:
        for _ in range(4):
            await gate.admit(1)
            moments.append(time.seconds)
            await asyncio.sleep(0)
            gate.note_failure()

    await asyncio.gather(*(insist() for _ in range(10)))
    moments.sort()
    assert all(sum(first <= moment < first + 1.0 for moment in moments) <= 4 for first in moments)


async def test_answer_ends_the_slow_probing(time: FakeTime) -> None:
    """At once."""
    gate = make_gate(time)
    for _ in range(50):
        gate.note_failure()
    gate.note_answer(None)
    assert not gate.is_failing
    before = time.seconds
    await gate.admit(1)
    assert time.seconds == before


async def test_stop_ends_every_wait() -> None:
    """In real time: a service does not sit out a ban when it is told to stop."""
    stop = asyncio.Event()
    gate = RequestGate("test", ExchangeClock(), stop, weight_per_minute=WEIGHT)
    gate.pause(3600, "HTTP 418")

    async def ask() -> None:
        with pytest.raises(Stopping):
            await gate.admit(1)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(ask())
        await asyncio.sleep(0)
        stop.set()


async def test_nothing_is_sent_once_the_service_stops(time: FakeTime) -> None:
    """Also when nothing is to be waited for."""
    stop = asyncio.Event()
    gate = make_gate(time, stop=stop)
    stop.set()
    with pytest.raises(Stopping):
        await gate.admit(1)


BANNED = (
    "Way too much request weight used; IP banned until {}. Please use the websocket for live updates to avoid bans."
)


@pytest.mark.parametrize(
    ("status", "retry_after", "message", "seconds"),
    [
        (429, "30", "", 30),
        (429, "2.5", "", 2.5),
        (429, None, "", 60),
        (418, None, "", 120),
        (429, "soon", "", 120),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", "", 120),
        (429, "nan", "", 120),
        (429, "inf", "", 120),
        (429, "-5", "", 60),
        (418, "99999999999", "", 7 * 86_400),
        (418, None, BANNED.format(NOW_MS + 45_000), 45),
        (418, "10", BANNED.format(NOW_MS + 45_000), 45),
        (418, "90", BANNED.format(NOW_MS + 45_000), 90),
        (418, "10", BANNED.format(NOW_MS - 45_000), 10),
        (418, None, BANNED.format(NOW_MS - 45_000), 120),
        (418, None, BANNED.format("9" * 15), 7 * 86_400),
        (418, None, BANNED.format("9" * 5000), 120),
        (418, None, BANNED.format("²"), 120),
        (418, None, "banned until", 120),
        (418, None, "banned until .", 120),
        (403, None, "Too many requests", 120),
    ],
)
def test_pause_is_the_longest_that_an_answer_asks_for(
    status: int, retry_after: str | None, message: str, seconds: float
) -> None:
    """Header or body, and a careful guess where neither can be read."""
    assert choose_pause(status, retry_after, *read_ban(message, from_milliseconds(NOW_MS))) == seconds


@given(st.sampled_from([418, 429]), st.none() | st.text(max_size=20), st.text(max_size=60))
def test_any_answer_gives_a_finite_pause(status: int, retry_after: str | None, tail: str) -> None:
    """Whatever an answer holds, the pause is neither none nor for ever."""
    for message in (tail, f"banned until {tail}"):
        seconds = choose_pause(status, retry_after, *read_ban(message, utc_now()))
        assert math.isfinite(seconds)
        assert 0 < seconds <= 7 * 86_400


def test_retry_after_may_be_a_date() -> None:
    """As RFC 9110 allows; the pause lasts until then."""
    asked = choose_pause(429, format_datetime(utc_now() + timedelta(hours=1), usegmt=True))
    assert 3590 < asked <= 3600
