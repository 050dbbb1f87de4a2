"""Fills the holes of the record, from the newest to the oldest, by bulk files where they pay and else by pages.

What is missing is read from the database each time, so that an interrupted backfill goes on where it was.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from collector.klines import Kline, KlinePage
from collector.ledger import select_due_absences
from collector.live import DOUBT_SECONDS
from collector.plan import Plan
from collector.reading import read_closed_klines, read_newest_klines
from collector.recorder import Recorder
from collector.sources.source import BulkFile, Part, cut_pages
from collector.symbols import select_since
from shared.database.connection import Connection
from shared.errors import ArchiveCorruptError, ExchangeRefusedError, ExchangeUnreachableError
from shared.gaps import select_absences, select_missing
from shared.instant import EPOCH, MINUTE
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger
from shared.runs import Run, Runs
from shared.symbols import name_at_source

log = get_logger(__name__)

# One part is fetched and unpacked while Postgres takes the other; more would only add their memory.
WORKERS = 2
LOOK_AGAIN_SECONDS = 10.0
# The newest minutes belong to the live task, which reads them again and again by itself.
LIVE_MINUTES = 2 * MINUTE

OnProgress = Callable[[int], object]


class Backfill:
    """Fills one symbol's holes."""

    def __init__(self, symbol: str, recorder: Recorder, stop: asyncio.Event, slots: asyncio.Semaphore) -> None:
        self._symbol = symbol
        self._recorder = recorder
        self._source = recorder.source
        self._database = recorder.database
        self._stop = stop
        self._slots = slots
        self._doubted: tuple[list[Kline], float] | None = None  # the newest rows, and since when they are so

    async def run(self) -> None:
        """Keep the record whole until `stop`; its beginning is read anew each time, for a command may extend it."""
        while not self._stop.is_set():
            since = await self._database.read(lambda connection: select_since(connection, self._symbol))
            if not await self.fill(since, self.live_start(), ask_again=True):
                await wait(self._stop, LOOK_AGAIN_SECONDS)

    def live_start(self) -> datetime:
        """Return where the live minutes begin, which are not backfilled."""
        return self._source.clock.open_minute() - LIVE_MINUTES

    async def find_holes(self, since: datetime, until: datetime, *, ask_again: bool) -> Runs:
        """Return what is to be asked for in [since, until): what never was, and with `ask_again` what is due again."""
        if since >= until:
            return Runs()

        async def select(connection: Connection) -> Runs:
            missing = await select_missing(connection, self._symbol, since, until)
            if not missing:
                return missing
            known = await select_absences(connection, self._symbol, since, until, with_refused=True)
            if known and ask_again:
                known -= await select_due_absences(connection, self._symbol, self._source.clock.now())
            return missing - known

        return await self._database.read(select)

    async def fill(
        self, since: datetime, until: datetime, *, ask_again: bool, on_progress: OnProgress | None = None
    ) -> int:
        """Fill the holes of [since, until) one after another and return how many minutes were settled.

        A part that fails for want of an answer stays for the next time.
        """
        holes = await self.find_holes(since, until, ask_again=ask_again)
        if not holes:
            return 0
        log.info("backfill_began", symbol=self._symbol, holes=len(holes), minutes=holes.minutes)
        plan = Plan(holes, partial(self._source.choose_part, name_at_source(self._symbol)))
        async with asyncio.TaskGroup() as workers:
            tasks = [
                workers.create_task(self._work(plan, on_progress), name=f"backfill {self._symbol} {number}")
                for number in range(WORKERS)
            ]
        settled = sum(task.result() for task in tasks)
        log.info("backfill_ended", symbol=self._symbol, minutes=settled)
        return settled

    async def fill_newest(self, until: datetime) -> bool:
        """Store the last minutes before `until`, and say whether the exchange has closed them; for who fills alone.

        A row that nothing follows may be the exchange's last sight of the open candle; it is taken for closed when it
        has stayed as it is for as long as a live one has to.
        """
        wanted = Run(max(EPOCH, until - LIVE_MINUTES), until)
        page, is_closed = await read_newest_klines(self._source, self._symbol, wanted)
        if self._doubted is None or self._doubted[0] != page.klines:
            self._doubted = page.klines, time.monotonic()
        is_closed = is_closed or time.monotonic() - self._doubted[1] >= DOUBT_SECONDS
        if is_closed:
            await self._recorder.record_newest(self._symbol, page, wanted)
        return is_closed

    async def _work(self, plan: Plan, on_progress: OnProgress | None) -> int:
        settled = 0
        while not self._stop.is_set() and (part := plan.next()):
            try:
                async with self._slots:
                    done = await self._fill_part(plan, part)
            except Stopping:
                break
            except (ExchangeUnreachableError, ExchangeRefusedError) as error:
                log.warning("backfill_interrupted", symbol=self._symbol, reason=str(error))
                await wait(self._stop, 1.0)
                break
            settled += done
            if on_progress:
                on_progress(done)
        return settled

    async def _fill_part(self, plan: Plan, part: Part) -> int:
        """Settle one part and return how many minutes are now there or known to be absent."""
        if part.file:
            stored = await self._fill_from_file(part.file, part.minutes)
            if stored is not None:
                return stored
        settled = 0
        for page in cut_pages(part.minutes, self._source.page_minutes):
            if not self._stop.is_set():
                settled += await self._fill_page(plan, page)
        return settled

    async def _fill_from_file(self, file: BulkFile, wanted: Run) -> int | None:
        """Store what a file has of the minutes wanted; None when the file cannot be used."""
        try:
            content = await file.fetch()
            if content is None:
                return None
            stored = await self._recorder.record_file(self._symbol, file, content, wanted)
        except ArchiveCorruptError as error:
            file.distrust(str(error))
            return None
        except ExchangeUnreachableError as error:
            log.warning("archive_unreachable", file=file.name, reason=str(error))
            return None
        file.finish()
        return stored

    async def _fill_page(self, plan: Plan, page: Run) -> int:
        """Ask for a page. Where the exchange has nothing at all, find out how far back that goes, in one question."""
        answer = await self._read_twice(page)
        await self._recorder.record_page(self._symbol, answer, page)
        settled = page.minutes
        if not answer.klines and not answer.refused and plan.reaches_before(page.start):
            reach = await self._source.find_history_end(name_at_source(self._symbol), page.start)
            for run in plan.withdraw(reach, page.start):
                await self._recorder.record_page(self._symbol, KlinePage([], []), run)
                settled += run.minutes
        return settled

    async def _read_twice(self, page: Run) -> KlinePage:
        """Read a page, and again where the answer has malformed rows or none: most of that passes at once."""
        first = await read_closed_klines(self._source, self._symbol, page)
        if first.klines and not first.refused:
            return first
        second = await read_closed_klines(self._source, self._symbol, page)
        found = {kline.minute: kline for kline in (*first.klines, *second.klines)}
        return KlinePage([found[minute] for minute in sorted(found)], first.refused + second.refused)
