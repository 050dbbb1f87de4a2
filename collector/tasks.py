"""Coroutines that run side by side until a stop."""

import asyncio
from collections.abc import Coroutine, Mapping

from shared.lifecycle import Stopping

# SIGTERM is to be obeyed within 5 seconds; so long may a unit of work that has begun go on.
GRACE_SECONDS = 3.0

Job = Coroutine[object, object, object]


async def run_until(stop: asyncio.Event, jobs: Mapping[str, Job]) -> None:
    """Run jobs, each a task of its name, to their ends.

    Once `stop` is set, what they have begun may go on for the grace and is then cut off.
    """
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run_unless_stopping(job), name=name) for name, job in jobs.items()]
        stopping = tasks.create_task(_wait_for(stop), name="stop")
        late = set(running)
        while late and not stopping.done():
            _, waited_for = await asyncio.wait((stopping, *late), return_when=asyncio.FIRST_COMPLETED)
            late = waited_for - {stopping}
        if late:
            _, late = await asyncio.wait(late, timeout=GRACE_SECONDS)
        for task in (*late, stopping):
            task.cancel()


async def run_unless_stopping(job: Job) -> None:
    """Run a job; a stop that cuts one of its waits short ends it without an error."""
    try:
        await job
    except Stopping:
        return


async def _wait_for(stop: asyncio.Event) -> None:
    await stop.wait()
