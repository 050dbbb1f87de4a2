"""Getting in touch with a source and staying so: its time, its limits, its hosts."""

import asyncio
from collections.abc import Sequence

from collector.sources.source import Source
from shared.errors import ExchangeRefusedError, ExchangeUnreachableError, UsageError
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger

log = get_logger(__name__)

TIME_SECONDS = 30.0
TIME_RETRY_SECONDS = 1.0
LIMITS_SECONDS = 3600.0
# An exchange's clock that moved otherwise than this machine's is measured more often.
SURPRISE_SECONDS = 2.0


async def make_contact(source: Source, names: Sequence[str], stop: asyncio.Event) -> None:
    """Learn the exchange's time and limits, for as long as that takes.

    Raises UsageError for a symbol that it does not list, Stopping when the service stops first.
    """
    while not source.clock.is_known:
        try:
            await source.measure_time()
        except (ExchangeUnreachableError, ExchangeRefusedError) as error:
            log.warning("exchange_unreachable", source=source.name, reason=str(error))
            # The gate spaces requests that get no answer, but not those that are refused.
            if await wait(stop, TIME_RETRY_SECONDS):
                raise Stopping from error
    await _learn_limits(source, names)


async def keep_contact(source: Source, names: Sequence[str], stop: asyncio.Event) -> None:
    """Measure the exchange's time again and again, its limits now and then, and probe failed hosts."""
    loop = asyncio.get_running_loop()
    limits_at = loop.time() + LIMITS_SECONDS
    pause = TIME_RETRY_SECONDS
    while not await wait(stop, pause):
        expected = source.clock.now()
        try:
            await source.measure_time()
            await source.probe_hosts()
            if loop.time() >= limits_at:
                limits_at += LIMITS_SECONDS
                await _learn_limits(source, names)
        except (ExchangeUnreachableError, ExchangeRefusedError, UsageError) as error:
            log.warning("exchange_time_unknown", source=source.name, reason=str(error))
            continue
        went_on_seconds = abs((source.clock.now() - expected).total_seconds())
        pause = TIME_RETRY_SECONDS if went_on_seconds > SURPRISE_SECONDS else TIME_SECONDS


async def _learn_limits(source: Source, names: Sequence[str]) -> None:
    """Learn the limits where the exchange tells them; raises UsageError for a symbol that it does not list."""
    try:
        await source.learn_limits(names)
    except (ExchangeUnreachableError, ExchangeRefusedError) as error:
        log.warning("exchange_limits_unknown", source=source.name, reason=str(error))
