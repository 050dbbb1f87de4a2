"""Calls that may hang."""

import asyncio
import threading

import pytest

from predictor.registry.bounded_call import BoundedCaller


async def test_result_and_error_come_through() -> None:
    """As if it had been called here."""
    caller = BoundedCaller("test")
    assert await caller.call(lambda: 7, 5) == 7
    with pytest.raises(ZeroDivisionError):
        await caller.call(lambda: 1 // 0, 5)
    assert await caller.call(lambda: 8, 5) == 8


async def test_call_that_hangs_is_left_alone_and_only_once() -> None:
    """Its thread would not keep the process from ending; until it is done, no other is begun beside it."""
    caller, release = BoundedCaller("test"), threading.Event()
    with pytest.raises(TimeoutError):
        await caller.call(release.wait, 0.01)
    with pytest.raises(TimeoutError, match="earlier call"):
        await caller.call(lambda: 7, 5)
    hanging = [thread for thread in threading.enumerate() if thread.name == "test"]
    assert [thread.daemon for thread in hanging] == [True]
    release.set()
    await asyncio.to_thread(hanging[0].join)
    # What the thread has handed over is taken in the loop's next round.
    await asyncio.sleep(0)
    assert await caller.call(lambda: 7, 5) == 7


def test_late_result_for_a_loop_that_has_ended_is_dropped() -> None:
    """Without a word from the thread, which pytest would take for an error."""
    release = threading.Event()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await BoundedCaller("late").call(release.wait, 0.01)

    asyncio.run(ask())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "late"]
    release.set()
    thread.join()
    assert not thread.is_alive()
