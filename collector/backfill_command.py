"""`collector backfill`: makes the record whole over a range, with a bar; beside a running collector, by asking it."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import NoReturn

from tqdm import tqdm

from collector.backfill import WORKERS, Backfill
from collector.exchange import open_exchange
from collector.leadership import is_led
from collector.recorder import Recorder
from collector.settings import CollectorSettings
from collector.symbols import update_since, upsert_backfilled_symbol
from collector.tasks import run_until
from collector.worker import Worker
from shared.database.driver import Pool
from shared.errors import LeadershipLostError, UsageError
from shared.gaps import select_absences, select_missing
from shared.instant import floor_minute, parse_instant, to_text
from shared.lifecycle import stop_on_signals, wait
from shared.logging import get_logger

log = get_logger(__name__)

LOOK_SECONDS = 1.0
# An exchange that never shows the open candle shows the next minute when that has closed.
NEWEST_SECONDS = 90.0


class BackfillCommand:
    """One call of the command."""

    def __init__(self, worker: Worker, since: str, until: str | None) -> None:
        self._worker = worker
        self._since_text = since
        self._until_text = until
        self._symbols: Sequence[str] = worker.settings.symbols
        self.is_left_to_leader = False

    async def lead(self, pool: Pool, epoch: int) -> None:
        """Fill the holes ourselves: nobody else collects."""
        self.is_left_to_leader = False
        exchange, stop = self._worker.exchange, self._worker.stop
        if not exchange.clock.is_known:
            # A service waits for its exchange; who typed a command wants to be told. Raises ExchangeUnreachableError.
            await exchange.binance.measure_time()
        await exchange.greet(self._symbols)
        since, until = self._range(exchange.clock.now())
        recorder = Recorder(pool, exchange.clock, self._worker.settings.source, epoch, self._worker.counts)
        for symbol in self._symbols:
            await upsert_backfilled_symbol(pool, symbol, since, until)
            backfill = Backfill(symbol, exchange, recorder, stop, asyncio.Semaphore(WORKERS))
            settled = min(until, backfill.live_start())
            wanted = await self._count_missing(pool, symbol, since, until)
            with _bar(symbol, wanted) as bar:
                while not stop.is_set() and await self._count_missing(pool, symbol, since, settled):
                    filling = backfill.fill(since, settled, ask_again=False, on_progress=bar.update)
                    await run_until(stop, [_to_its_end(filling)])
                if settled < until:
                    await run_until(stop, [self._fill_newest(backfill, until)])
                bar.update(max(0, wanted - await self._count_missing(pool, symbol, since, until) - bar.n))

    async def _fill_newest(self, backfill: Backfill, until: datetime) -> None:
        """Wait for the exchange to show a minute after the last one that is wanted, which proves it closed."""
        tries_end = asyncio.get_running_loop().time() + NEWEST_SECONDS
        while not await backfill.fill_newest(until) and asyncio.get_running_loop().time() < tries_end:
            if await wait(self._worker.stop, LOOK_SECONDS):
                return

    async def follow(self, pool: Pool) -> None:
        """Ask the collector that leads to reach back to `since`, and watch until it has.

        Raises LeadershipLostError when nobody leads any more, which is for us to do then.
        """
        now: datetime = await pool.fetchval("SELECT exchange_now()")
        since, until = self._range(now)
        self.is_left_to_leader = True
        log.info("backfill_left_to_leader", since=to_text(since), note="its record begins there from now on, for good")
        for symbol in self._symbols:
            if not await update_since(pool, symbol, since):
                raise UsageError(
                    f"The collector that runs does not collect {symbol}; add it to its COLLECTOR_SYMBOLS, or stop it."
                )
        for symbol in self._symbols:
            left = await self._count_missing(pool, symbol, since, until)
            with _bar(symbol, left) as bar:
                while left and not await wait(self._worker.stop, LOOK_SECONDS):
                    if not await is_led(pool):
                        raise LeadershipLostError("The collector that was asked has stopped.")
                    before, left = left, await self._count_missing(pool, symbol, since, until)
                    bar.update(max(0, before - left))

    def _range(self, now: datetime) -> tuple[datetime, datetime]:
        try:
            since = floor_minute(parse_instant(self._since_text, now))
            until = floor_minute(parse_instant(self._until_text, now)) if self._until_text else floor_minute(now)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
        if since >= until:
            raise UsageError(f"--since ({to_text(since)}) must lie before --until ({to_text(until)}).")
        return since, min(until, floor_minute(now))

    async def _count_missing(self, pool: Pool, symbol: str, since: datetime, until: datetime) -> int:
        """Count the minutes that are neither stored nor known to be absent at the exchange."""
        if since >= until:
            return 0
        async with pool.acquire() as connection:
            missing = await select_missing(connection, symbol, since, until)
            known = await select_absences(connection, symbol, since, until, with_refused=True)
        return (missing - known).minutes


async def _to_its_end(work: Coroutine[object, object, int]) -> None:
    await work


def _bar(symbol: str, minutes: int) -> "tqdm[NoReturn]":
    return tqdm(total=minutes, desc=symbol, unit="min", unit_scale=True, mininterval=0.2, dynamic_ncols=True)


async def run_backfill(settings: CollectorSettings, since: str, until: str | None) -> None:
    """Fill [since, until) for every symbol; returns when nothing is left to collect, or when stopped."""
    stop = stop_on_signals()
    async with open_exchange(settings, stop) as exchange:
        worker = Worker(settings, exchange, stop)
        command = BackfillCommand(worker, since, until)
        await worker.run(command.lead, command.follow)
    counts = worker.counts
    log.info(
        "backfill_stopped" if stop.is_set() else "backfill_finished",
        done_by="the collector that leads" if command.is_left_to_leader else "this command",
        inserted=counts.inserted,
        corrected=counts.corrected,
        refused=counts.refused.total(),
    )
