"""Of what is raised while `backfill` leads, only an exchange's failure is kept for the end."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from collector.backfill_command import BackfillCommand
from collector.recorder import Recorder
from collector.settings import CollectorSettings
from collector.sources.source import Source
from collector.worker import Worker
from shared.database.database import Database
from shared.errors import DatabaseUnavailableError, ExchangeError
from shared.symbols import BINANCE

SILENT = ExchangeError("silent")
BUG = TypeError("bug")
AWAY = DatabaseUnavailableError("away")


class FailingCommand(BackfillCommand):
    """One in which filling from any source raises the same error."""

    def __init__(self, error: Exception) -> None:
        settings = CollectorSettings.load(database_url="postgresql://x@y/z")
        super().__init__(Worker(settings, {BINANCE: cast(Source, None)}, asyncio.Event()), "1h", None)
        self._error = error

    async def _fill_from(self, recorder: Recorder, symbols: Sequence[str]) -> None:
        raise self._error


@pytest.mark.parametrize("error", [SILENT, ExceptionGroup("", [ExceptionGroup("", [SILENT])])])
async def test_exchange_s_failure_is_raised_as_itself_at_the_end(error: Exception) -> None:
    """A command tells of it in one sentence."""
    with pytest.raises(ExchangeError) as raised:
        await FailingCommand(error).lead(cast(Database, None), 1)
    assert raised.value is SILENT


@pytest.mark.parametrize("other", [BUG, AWAY])
async def test_what_was_raised_beside_an_exchange_s_failure_is_not_swallowed(other: Exception) -> None:
    """A programmer's error least of all."""
    group = ExceptionGroup("", [SILENT, ExceptionGroup("", [SILENT, other])])
    with pytest.raises(ExceptionGroup) as raised:
        await FailingCommand(group).lead(cast(Database, None), 1)
    assert raised.group_contains(type(other))
    assert not raised.group_contains(ExchangeError)
