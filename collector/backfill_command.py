"""`collector backfill`: makes the record whole over a range, with a bar; beside a running collector, by asking it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from tqdm import tqdm

from collector.backfill import WORKERS, Backfill
from collector.contact import make_contact
from collector.dates import read_minute
from collector.leadership import is_led
from collector.recorder import Recorder, open_unpacker
from collector.settings import CollectorSettings
from collector.sources.registry import group_by_source, load_source_settings, open_sources
from collector.symbols import update_since, upsert_backfilled_symbol
from collector.tasks import run_until
from collector.worker import Worker
from shared.database.connection import Connection
from shared.database.database import Database
from shared.error_groups import list_errors
from shared.errors import ExchangeError, LeadershipLostError, UsageError
from shared.gaps import select_absences, select_missing
from shared.instant import floor_minute, to_text
from shared.lifecycle import stop_on_signals, wait
from shared.logging import get_logger
from shared.runs import Run
from shared.symbols import name_at_source

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

    async def lead(self, database: Database, epoch: int) -> None:
        """Fill the holes ourselves: nobody else collects.

        What one exchange cannot give keeps no other from being asked; its error is raised afterwards.
        """
        self.is_left_to_leader = False
        failures: list[Exception] = []

        async def fill(recorder: Recorder, symbols: Sequence[str]) -> None:
            try:
                await self._fill_from(recorder, symbols)
            except* ExchangeError as errors:
                # What else was raised beside them goes on its way.
                failures.extend(list_errors(errors))

        jobs = {}
        with open_unpacker() as unpacker:
            for name, symbols in group_by_source(self._symbols).items():
                recorder = Recorder(database, self._worker.sources[name], epoch, self._worker.counts, unpacker)
                jobs[f"fill {name}"] = fill(recorder, symbols)
            await run_until(self._worker.stop, jobs)
        if failures:
            raise failures[0]

    async def _fill_from(self, recorder: Recorder, symbols: Sequence[str]) -> None:
        source, stop = recorder.source, self._worker.stop
        if not source.clock.is_known:
            # The service would wait for its exchange; a command fails instead, and raises ExchangeUnreachableError.
            await source.measure_time()
        await make_contact(source, [name_at_source(symbol) for symbol in symbols], stop)
        wanted = self._read_range(source.clock.now())
        for symbol in symbols:
            await _begin_record(recorder.database, symbol, wanted)
            backfill = Backfill(symbol, recorder, stop, asyncio.Semaphore(WORKERS))
            await self._fill_symbol(symbol, backfill, recorder.database, wanted)

    async def _fill_symbol(self, symbol: str, backfill: Backfill, database: Database, wanted: Run) -> None:
        stop = self._worker.stop
        settled = Run(wanted.start, min(wanted.end, backfill.live_start()))
        missing = await _count_missing(database, symbol, wanted)
        with _make_bar(symbol, missing) as bar:
            while not stop.is_set() and await _count_missing(database, symbol, settled):
                filling = backfill.fill(*settled, ask_again=False, on_progress=bar.update)
                await run_until(stop, {f"backfill {symbol}": filling})
            if settled.end < wanted.end:
                await run_until(stop, {f"newest {symbol}": self._fill_newest(backfill, wanted.end)})
            bar.update(max(0, missing - await _count_missing(database, symbol, wanted) - bar.n))

    async def _fill_newest(self, backfill: Backfill, until: datetime) -> None:
        """Wait for the exchange to show a minute after the last one that is wanted, which proves it closed."""
        tries_end = asyncio.get_running_loop().time() + NEWEST_SECONDS
        while not await backfill.fill_newest(until) and asyncio.get_running_loop().time() < tries_end:
            if await wait(self._worker.stop, LOOK_SECONDS):
                return

    async def follow(self, database: Database) -> None:
        """Ask the collector that leads to reach back to `since`, and watch until it has.

        Raises LeadershipLostError when no collector leads any more; the command then has to lead itself.
        """
        self.is_left_to_leader = True
        wanted = await database.write(self._ask_leader)
        since = min(run.start for run in wanted.values())
        log.info("backfill_left_to_leader", since=to_text(since), note="its record begins there from now on, for good")
        for symbol, run in wanted.items():
            left = await _count_missing(database, symbol, run)
            with _make_bar(symbol, left) as bar:
                while left and not await wait(self._worker.stop, LOOK_SECONDS):
                    if not await database.read(is_led):
                        raise LeadershipLostError("The collector that was asked has stopped.")
                    before, left = left, await _count_missing(database, symbol, run)
                    bar.update(max(0, before - left))

    async def _ask_leader(self, connection: Connection) -> dict[str, Run]:
        """Let the records begin where they are wanted to, and return what is wanted of each symbol."""
        wanted = {}
        for symbol in self._symbols:
            wanted[symbol] = self._read_range(await connection.fetchval("SELECT exchange_now($1)", symbol))
            if not await update_since(connection, symbol, wanted[symbol].start):
                raise UsageError(
                    f"The collector that runs does not collect {symbol}; add it to its COLLECTOR_SYMBOLS, or stop it."
                )
        return wanted

    def _read_range(self, now: datetime) -> Run:
        since = read_minute(self._since_text, now)
        until = read_minute(self._until_text, now) if self._until_text else floor_minute(now)
        if since >= until:
            raise UsageError(f"--since ({to_text(since)}) must lie before --until ({to_text(until)}).")
        return Run(since, min(until, floor_minute(now)))


async def _begin_record(database: Database, symbol: str, wanted: Run) -> None:
    await database.write(lambda connection: upsert_backfilled_symbol(connection, symbol, *wanted))


async def _count_missing(database: Database, symbol: str, wanted: Run) -> int:
    """Count the minutes that are neither stored nor known to be absent at the exchange."""
    if wanted.start >= wanted.end:
        return 0

    async def select(connection: Connection) -> int:
        missing = await select_missing(connection, symbol, *wanted)
        return (missing - await select_absences(connection, symbol, *wanted, with_refused=True)).minutes

    return await database.read(select)


def _make_bar(symbol: str, minutes: int) -> "tqdm[NoReturn]":
    return tqdm(total=minutes, desc=symbol, unit="min", unit_scale=True, mininterval=0.2, dynamic_ncols=True)


async def run_backfill(settings: CollectorSettings, since: str, until: str | None) -> None:
    """Fill [since, until) for every symbol; returns when nothing is left to collect, or when stopped."""
    stop = stop_on_signals()
    async with open_sources(load_source_settings(settings.symbols), stop) as sources:
        worker = Worker(settings, sources, stop)
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
