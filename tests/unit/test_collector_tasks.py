"""Jobs that run side by side."""

import asyncio

from collector.tasks import run_until
from shared.lifecycle import Stopping


async def test_each_job_is_a_task_of_its_name() -> None:
    """By which a traceback or a list of tasks tells them apart; a stop that cuts one short is no error."""
    names: list[str] = []

    async def note() -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())
        raise Stopping

    await run_until(asyncio.Event(), {"live BTCUSDT": note(), "backfill BTCUSDT": note()})
    assert names == ["live BTCUSDT", "backfill BTCUSDT"]
