"""A service's beginning and end: a signal sets an event, and every wait is a wait for that event with a time-out."""

import asyncio
import signal

# How long a service that starts waits for Postgres: a wrong URL is reported soon, but one that has answered before is
# waited for without end.
FIRST_CONNECTION_SECONDS = 10.0


class Stopping(Exception):  # noqa: N818 - it is not an error: it leaves a wait that a stop has cut short
    """Raised from a wait because the service stops."""


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; a second signal changes nothing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def wait(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Wait for `event` for at most `timeout_seconds`; returns whether it is set."""
    if timeout_seconds <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
