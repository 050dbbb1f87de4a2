"""Fills the holes of the record, from the newest to the oldest: months from the archives, the rest by REST pages.

What is missing is read from the database each time, so that an interrupted backfill goes on where it was.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from collector.archive import ArchiveFile
from collector.archives import DAYS_FROM, Archives
from collector.binance import PAGE_LIMIT
from collector.exchange import Exchange
from collector.klines import Kline, KlinePage
from collector.ledger import select_due_absences
from collector.live import DOUBT_SECONDS
from collector.recorder import Recorder
from shared.database.driver import translated
from shared.errors import ArchiveCorruptError, ExchangeRefusedError, ExchangeUnreachableError
from shared.gaps import select_absences, select_missing
from shared.instant import MINUTE, floor_day, from_milliseconds, to_milliseconds
from shared.lifecycle import Stopping, wait
from shared.logging import get_logger
from shared.runs import Run, Runs

log = get_logger(__name__)

# One part is fetched and unpacked while Postgres takes the other; more would only add their memory.
WORKERS = 2
LOOK_AGAIN_SECONDS = 10.0
# The newest minutes belong to the live task, which reads them again and again by itself.
LIVE_MINUTES = timedelta(minutes=2)
PAGE = PAGE_LIMIT * MINUTE

OnProgress = Callable[[int], object]


class Plan:
    """Hands out the parts of some holes, newest first, cut so that each is one file or one page."""

    def __init__(self, holes: Runs, archives: Archives, symbol: str, now_ms: int) -> None:
        self._holes = list(holes)
        self._archives = archives
        self._symbol = symbol
        self._now_ms = now_ms

    def next(self) -> tuple[Run, ArchiveFile | None] | None:
        """Return the next part and the file to take it from, if any; None when all are handed out."""
        if not self._holes:
            return None
        hole = self._holes.pop()
        file = self._archives.covering(
            self._symbol, to_milliseconds(hole.start), to_milliseconds(hole.end), self._now_ms
        )
        start = max(hole.start, from_milliseconds(file.start_ms) if file else self._page_start(hole))
        if start > hole.start:
            self._holes.append(Run(hole.start, start))
        return Run(start, hole.end), file

    def _page_start(self, hole: Run) -> datetime:
        """Cut where the newest day of a long hole begins, so that the days before it can come from files."""
        newest_day = floor_day(hole.end - MINUTE)
        by_days = self._archives.is_on and hole.end - hole.start >= DAYS_FROM
        return max(hole.end - PAGE, newest_day) if by_days else hole.end - PAGE

    def reaches_before(self, end: datetime) -> bool:
        """Whether anything older than `end` is still to be handed out."""
        return any(hole.start < end for hole in self._holes)

    def withdraw(self, start: datetime, end: datetime) -> Runs:
        """Hand out nothing of [start, end) any more, and return what of it was still to be handed out."""
        holes, withdrawn = Runs(self._holes), Runs.of(Run(start, end))
        self._holes = list(holes - withdrawn)
        return holes & withdrawn


class Backfill:
    """Fills one symbol's holes."""

    def __init__(
        self, symbol: str, exchange: Exchange, recorder: Recorder, stop: asyncio.Event, slots: asyncio.Semaphore
    ) -> None:
        self._symbol = symbol
        self._binance = exchange.binance
        self._archives = exchange.archives
        self._recorder = recorder
        self._stop = stop
        self._slots = slots
        self._doubted: tuple[list[Kline], float] | None = None  # the newest rows, and since when they are so

    async def run(self) -> None:
        """Keep the record whole until `stop`; its beginning is read anew each time, for a command may extend it."""
        while not self._stop.is_set():
            since: datetime = await self._recorder.pool.fetchval(
                "SELECT since FROM collected_symbols WHERE symbol = $1", self._symbol
            )
            if not await self.fill(since, self.live_start(), ask_again=True):
                await wait(self._stop, LOOK_AGAIN_SECONDS)

    def live_start(self) -> datetime:
        """Return where the live minutes begin, which are not backfilled."""
        return from_milliseconds(self._binance.clock.open_minute_ms()) - LIVE_MINUTES

    async def holes(self, since: datetime, until: datetime, *, ask_again: bool) -> Runs:
        """Return what is to be asked for in [since, until): what never was, and with `ask_again` what is due again."""
        if since >= until:
            return Runs()
        async with self._recorder.pool.acquire() as connection:
            missing = await select_missing(connection, self._symbol, since, until)
            known = (
                await select_absences(connection, self._symbol, since, until, with_refused=True) if missing else Runs()
            )
            due = await select_due_absences(connection, self._symbol, self._binance.clock.now()) if known else Runs()
        return missing - (known - due if ask_again else known)

    async def fill(
        self, since: datetime, until: datetime, *, ask_again: bool, on_progress: OnProgress | None = None
    ) -> int:
        """Fill the holes of [since, until) once over and return how many minutes were settled.

        A part that fails for want of an answer stays for the next time.
        """
        holes = await self.holes(since, until, ask_again=ask_again)
        if not holes:
            return 0
        log.info("backfill_began", symbol=self._symbol, holes=len(holes), minutes=holes.minutes)
        plan = Plan(holes, self._archives, self._symbol, self._binance.clock.now_ms())
        async with asyncio.TaskGroup() as workers:
            tasks = [workers.create_task(self._work(plan, on_progress), name=f"backfill-{n}") for n in range(WORKERS)]
        settled = sum(task.result() for task in tasks)
        log.info("backfill_ended", symbol=self._symbol, minutes=settled)
        return settled

    async def fill_newest(self, until: datetime) -> bool:
        """Store the last minutes before `until`, and say whether the exchange has closed them; for who fills alone.

        A row that nothing follows may be the exchange's last sight of the open candle; it is taken for closed when it
        has stayed as it is for as long as a live one has to.
        """
        start = max(from_milliseconds(0), until - LIVE_MINUTES)
        bounds = to_milliseconds(start), to_milliseconds(until)
        page, is_closed = await self._binance.newest_klines(self._symbol, *bounds)
        if self._doubted is None or self._doubted[0] != page.klines:
            self._doubted = page.klines, time.monotonic()
        is_closed = is_closed or time.monotonic() - self._doubted[1] >= DOUBT_SECONDS
        if is_closed:
            await self._recorder.record_newest(self._symbol, page, *bounds)
        return is_closed

    async def _work(self, plan: Plan, on_progress: OnProgress | None) -> int:
        settled = 0
        while not self._stop.is_set() and (part := plan.next()):
            try:
                # Here, because the group that the workers are in would hide the driver's errors from others.
                async with self._slots:
                    with translated():
                        done = await self._fill_part(plan, *part)
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

    async def _fill_part(self, plan: Plan, part: Run, file: ArchiveFile | None) -> int:
        """Settle one part and return how many minutes are now there or known to be absent."""
        if file:
            stored = await self._fill_from_archive(file, part)
            if stored is not None:
                return stored
        settled = 0
        for page in pages(part):
            if not self._stop.is_set():
                settled += await self._fill_page(plan, page)
        return settled

    async def _fill_from_archive(self, file: ArchiveFile, part: Run) -> int | None:
        """Store what a file has of a part; None when the file cannot be used."""
        try:
            content = await self._archives.fetch(file)
            if content is None:
                return None
            stored = await self._recorder.record_archive(file, content, part)
        except ArchiveCorruptError as error:
            self._archives.distrust(file, str(error))
            return None
        except ExchangeUnreachableError as error:
            log.warning("archive_unreachable", file=file.name, reason=str(error))
            return None
        self._archives.finish(file)
        return stored

    async def _fill_page(self, plan: Plan, page: Run) -> int:
        """Ask for a page. Where the exchange has nothing at all, find out how far back that goes, in one question."""
        start_ms = to_milliseconds(page.start)
        answer = await self._ask_twice(page)
        await self._recorder.record_page(self._symbol, answer, page)
        settled = page.minutes
        if not answer.klines and not answer.refused and plan.reaches_before(page.start):
            reach = from_milliseconds(await self._binance.history_end_before(self._symbol, start_ms))
            for run in plan.withdraw(reach, page.start):
                await self._recorder.record_page(self._symbol, KlinePage([], []), run)
                settled += run.minutes
        return settled

    async def _ask_twice(self, page: Run) -> KlinePage:
        """Ask for a page, and again where the answer has malformed rows or none: most of that passes at once."""
        bounds = to_milliseconds(page.start), to_milliseconds(page.end)
        first = await self._binance.klines(self._symbol, *bounds)
        if first.klines and not first.refused:
            return first
        second = await self._binance.klines(self._symbol, *bounds)
        found = {kline.minute_ms: kline for kline in (*first.klines, *second.klines)}
        return KlinePage(sorted(found.values()), first.refused + second.refused)


def pages(hole: Run) -> Iterator[Run]:
    """Cut a hole into pages, newest first."""
    end = hole.end
    while end > hole.start:
        start = max(hole.start, end - PAGE)
        yield Run(start, end)
        end = start
