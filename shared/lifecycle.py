"""Stopping: a signal sets an event, and everything that waits, waits for that event with a time-out."""

import asyncio
import signal


class Stopping(Exception):  # noqa: N818 - it is no error: it unwinds a wait that a stop has cut short
    """The service stops; raised out of a wait that would outlast it."""


def stop_on_signals() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM or SIGINT sets; a second signal changes nothing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def wait(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Wait for `event` at most so long; True when it is set."""
    if timeout_seconds <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
