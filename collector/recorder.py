"""Records answers: what came goes to the ticks, what did not come to the gap ledger, in one transaction; and counts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg

from collector.archive import ArchiveFile, read_archive
from collector.clock import ExchangeClock
from collector.klines import Kline, KlinePage, Label, Refusal, log_refusals
from collector.ledger import record_answer
from collector.pack import UnusualRowError, pack_archive
from collector.store import Stored, copy_archive, take_write_lock, upsert_klines
from shared.database.driver import Pool
from shared.gaps import select_absences, select_missing
from shared.instant import from_milliseconds, to_milliseconds
from shared.logging import get_logger
from shared.runs import Run, Runs

log = get_logger(__name__)

Result = TypeVar("Result")

# The exchange's own store can lag: a minute that closed less than this ago may still come.
SETTLED_MS = 60_000
_REMEMBERED_REFUSALS = 10_000


@dataclass
class Counts:
    """What was done since the process started, for the heartbeat."""

    inserted: int = 0
    corrected: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _seen: dict[tuple[str, str], None] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        """Add what one write stored."""
        self.inserted += stored.inserted
        self.corrected += stored.corrected

    def add_refused(self, symbol: str, refused: Sequence[Refusal]) -> list[Refusal]:
        """Add refused rows and return those that are new: a bad row comes again with every answer that has it."""
        new = {(symbol, refusal.row): refusal for refusal in refused if (symbol, refusal.row) not in self._seen}
        self._seen |= dict.fromkeys(new)
        while len(self._seen) > _REMEMBERED_REFUSALS:
            del self._seen[next(iter(self._seen))]
        self.refused.update(refusal.reason.split(":")[0] for refusal in new.values())
        return list(new.values())


class Recorder:
    """Writes for the leader of one epoch."""

    def __init__(self, pool: Pool, clock: ExchangeClock, source: str, epoch: int, counts: Counts) -> None:
        self.pool = pool
        self._clock = clock
        self._source = source
        self._epoch = epoch
        self.counts = counts
        # One thread: unpacking holds the interpreter's lock, so a second would only add its memory.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unpack")

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _label(self, symbol: str) -> Label:
        return Label(symbol, self._source, self._epoch)

    async def record_kline(self, symbol: str, kline: Kline) -> None:
        """Store one minute that the stream has closed."""
        async with self.pool.acquire() as connection, connection.transaction():
            stored = await upsert_klines(connection, self._label(symbol), [kline])
        self._finish(symbol, "stream", stored, [])

    async def record_newest(self, symbol: str, page: KlinePage, start_ms: int, end_ms: int) -> Stored:
        """Store the newest minutes, and note as absent what of [start_ms, end_ms) the exchange has not.

        The last minute of that is left out: it may still come. So are minutes that the ledger already names: it has
        its own times of asking again.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            stored = await upsert_klines(connection, self._label(symbol), page.klines)
            settled = _run(start_ms, max(start_ms, end_ms - SETTLED_MS))
            missing = Runs.of(settled) - _kept_minutes(page, stored)
            refused = refused_minutes([*page.refused, *stored.refused], missing)
            if missing:
                await take_write_lock(connection, self._epoch)
                known = await select_absences(connection, symbol, *settled, with_refused=True)
                # A host that lags may lack what was stored before; that is there all the same.
                for run in (missing & await select_missing(connection, symbol, *settled)) - known:
                    asked, now = Runs.of(run), self._clock.now()
                    await record_answer(connection, symbol, run, asked - refused, now, refused=asked & refused)
        self._finish(symbol, "rest", stored, page.refused)
        return stored

    async def record_page(self, symbol: str, page: KlinePage, asked: Run) -> Stored:
        """Store a page of history and write into the ledger what of `asked` it lacks."""
        async with self.pool.acquire() as connection, connection.transaction():
            stored = await upsert_klines(connection, self._label(symbol), page.klines)
            # The ledger only under the write lock: parts of one of its runs may be asked for side by side.
            await take_write_lock(connection, self._epoch)
            missing = Runs.of(asked) - _kept_minutes(page, stored)
            refused = refused_minutes([*page.refused, *stored.refused], missing)
            await record_answer(connection, symbol, asked, missing - refused, self._clock.now(), refused=refused)
        self._finish(symbol, "rest", stored, page.refused)
        return stored

    async def record_archive(self, file: ArchiveFile, content: bytes, asked: Run) -> int:
        """Store the minutes of `asked`, which are missing, from a file; returns how many it gave.

        What the file lacks is not absent for that: REST has the last word. Raises ArchiveCorruptError.
        """
        label = self._label(file.symbol)
        try:
            packed = await self._in_thread(pack_archive, label, file, content, asked)
            if packed.count:
                async with self.pool.acquire() as connection, connection.transaction():
                    await copy_archive(connection, label, packed)
        except (UnusualRowError, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            log.info("archive_read_with_care", file=file.name, reason=str(error)[:200])
            return await self._record_archive_rows(file, content, asked)
        self._finish(file.symbol, file.name, Stored(packed.count, 0, []), [])
        return packed.count

    async def _record_archive_rows(self, file: ArchiveFile, content: bytes, asked: Run) -> int:
        """Store a file row by row, so that only its bad rows are lost."""
        rows = read_archive(content, file, *_bounds(asked))
        count = 0
        while (klines := await self._in_thread(next, rows.klines, None)) is not None:
            async with self.pool.acquire() as connection, connection.transaction():
                stored = await upsert_klines(connection, self._label(file.symbol), klines)
            count += stored.inserted
            self._finish(file.symbol, file.name, stored, [])
        self._finish(file.symbol, file.name, Stored(0, 0, []), rows.refused)
        return count

    def refuse(self, symbol: str, origin: str, refusal: Refusal) -> None:
        """Log and count a row that is not stored."""
        self._finish(symbol, origin, Stored(0, 0, []), [refusal])

    def _finish(self, symbol: str, origin: str, stored: Stored, refused: Sequence[Refusal]) -> None:
        self.counts.add(stored)
        log_refusals(self.counts.add_refused(symbol, [*refused, *stored.refused]), symbol, origin)


def refused_minutes(refused: Sequence[Refusal], missing: Runs) -> Runs:
    """Return what of `missing` the exchange has rows for that were refused; it is not absent there.

    A row that does not even tell its minute may stand for any of them.
    """
    wanted = [refusal for refusal in refused if not refusal.is_spare]
    if any(refusal.minute_ms is None for refusal in wanted):
        return missing
    told = (from_milliseconds(refusal.minute_ms) for refusal in wanted if refusal.minute_ms is not None)
    return missing & Runs.of_minutes(told)


def _kept_minutes(page: KlinePage, stored: Stored) -> Runs:
    """Return the minutes of a page that are in the ticks now."""
    refused = {refusal.minute_ms for refusal in stored.refused}
    return Runs.of_minutes(
        from_milliseconds(kline.minute_ms) for kline in page.klines if kline.minute_ms not in refused
    )


def _run(start_ms: int, end_ms: int) -> Run:
    return Run(from_milliseconds(start_ms), from_milliseconds(end_ms))


def _bounds(run: Run) -> tuple[int, int]:
    return to_milliseconds(run.start), to_milliseconds(run.end)
