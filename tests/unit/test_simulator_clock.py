"""The exchange's time runs at its speed, or stands until it is moved."""

import asyncio
import time

import pytest

from simulator.clock import ManualClock, RunningClock
from tests.simulated import MINUTE_MS, NOON, NOON_MS, PATIENCE_SECONDS


def test_a_running_clock_starts_where_it_is_told_and_runs_at_its_speed() -> None:
    """A thousand exchange seconds in a second of the machine's."""
    before = time.monotonic()
    clock = RunningClock(NOON, speed=1000)
    while clock.now_ms() < NOON_MS + 10_000:
        assert time.monotonic() - before < PATIENCE_SECONDS
    elapsed_ms = (time.monotonic() - before) * 1_000_000
    assert clock.now_ms() - NOON_MS <= elapsed_ms + 1000


def test_without_a_start_it_is_the_machines_time() -> None:
    """As on the real exchange."""
    assert abs(RunningClock().now_ms() / 1000 - time.time()) < 1


async def test_a_running_clock_can_be_waited_for() -> None:
    """Waiting ends when the time is there, not before."""
    clock = RunningClock(NOON, speed=1000)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await clock.wait_until(NOON_MS + 20_000)
    assert clock.now_ms() >= NOON_MS + 19_000


@pytest.mark.parametrize("clock", [RunningClock(NOON, speed=0.001), ManualClock(NOON)])
async def test_setting_a_clock_wakes_who_waits(clock: RunningClock | ManualClock) -> None:
    """Also one that would have waited for hours."""
    waiting = asyncio.create_task(clock.wait_until(NOON_MS + 3 * MINUTE_MS))
    await asyncio.sleep(0)
    clock.set(NOON_MS + 4 * MINUTE_MS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await waiting
    assert clock.now_ms() >= NOON_MS + 4 * MINUTE_MS


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    """By a duration or to an instant."""
    clock = ManualClock(NOON)
    assert clock.now_ms() == NOON_MS
    clock.advance(minutes=1, seconds=0.5)
    assert clock.now_ms() == NOON_MS + 60_500
    clock.set(NOON)
    assert clock.now_ms() == NOON_MS
