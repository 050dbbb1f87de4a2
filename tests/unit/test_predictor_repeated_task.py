"""Work that is repeated: Postgres's absence is waited out, and nothing else is."""

import asyncio

import pytest

from predictor.service.repeated_task import RepeatedTask
from shared.errors import DatabaseOutdatedError, DatabaseUnavailableError


async def test_absence_of_postgres_is_waited_out() -> None:
    """The work is tried again until it succeeds."""
    stop, outcomes = asyncio.Event(), [DatabaseUnavailableError("Postgres does not answer.")] * 3

    async def work() -> None:
        if outcomes:
            raise outcomes.pop()
        stop.set()

    async with asyncio.timeout(5):
        await RepeatedTask("test", work, 0.001).run(stop)
    assert not outcomes


@pytest.mark.parametrize(
    "error", [TypeError("fetch"), FileNotFoundError(2, "no such file"), DatabaseOutdatedError("old")]
)
async def test_any_other_error_ends_the_task(error: Exception) -> None:
    """A mistake in the program is not mended by trying again."""

    async def work() -> None:
        raise error

    async with asyncio.timeout(5):
        with pytest.raises(type(error)) as raised:
            await RepeatedTask("test", work, 0.001).run(asyncio.Event())
    assert raised.value is error
