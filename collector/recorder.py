"""Records answers: what came goes to the ticks, what did not come to the gap ledger, in one transaction."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from collector.copy_text import UnusualRowError
from collector.counts import Counts
from collector.klines import Kline, KlinePage, Refusal, log_refusals
from collector.ledger import record_answer
from collector.sources.source import BulkFile, Source
from collector.store import Stored, WriteTarget, copy_missing_minutes, take_write_lock, upsert_klines
from shared.database.connection import Connection
from shared.database.database import Database
from shared.errors import DataRefusedError
from shared.gaps import select_absences, select_missing
from shared.instant import MINUTE
from shared.logging import get_logger
from shared.runs import Run, Runs

log = get_logger(__name__)

Result = TypeVar("Result")

# The exchange's own store can lag: a minute that closed less than this ago may still come.
SETTLED_AFTER = MINUTE


@contextmanager
def open_unpacker() -> Iterator[Executor]:
    """Open the thread that reads bulk files; at the end it is not waited for, and what has not begun is dropped.

    It is one for all sources: unpacking holds the interpreter's lock, so a second would only add its memory.
    """
    unpacker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unpack")
    try:
        yield unpacker
    finally:
        unpacker.shutdown(wait=False, cancel_futures=True)


class Recorder:
    """Writes what one source gives, for the leader of one epoch."""

    def __init__(self, database: Database, source: Source, epoch: int, counts: Counts, unpacker: Executor) -> None:
        self.database = database
        self.source = source
        self.epoch = epoch
        self.counts = counts
        self._unpacker = unpacker

    async def record_kline(self, symbol: str, kline: Kline) -> None:
        """Store one minute that the stream has closed."""
        stored = await self._upsert(symbol, [kline])
        self._count(symbol, "stream", stored, [])

    async def record_newest(self, symbol: str, page: KlinePage, asked: Run) -> Stored:
        """Store the newest minutes, and note as absent what of `asked` the exchange has not.

        The last minute of that is left out: it may still come. So are minutes that the ledger already names: it has
        its own times of asking again.
        """
        settled = Run(asked.start, max(asked.start, asked.end - SETTLED_AFTER))

        async def write(connection: Connection) -> Stored:
            stored = await upsert_klines(connection, self._target(symbol), page.klines)
            missing = Runs([settled]) - _kept_minutes(page, stored)
            refused = find_refused_minutes([*page.refused, *stored.refused], missing)
            if missing:
                await take_write_lock(connection, self.epoch)
                known = await select_absences(connection, symbol, *settled, with_refused=True)
                # A host that lags may lack what was stored before; that is there all the same.
                for run in (missing & await select_missing(connection, symbol, *settled)) - known:
                    asked_for, now = Runs([run]), self.source.clock.now()
                    await record_answer(connection, symbol, run, asked_for - refused, now, refused=asked_for & refused)
            return stored

        stored = await self.database.write(write)
        self._count(symbol, "newest page", stored, page.refused)
        return stored

    async def record_page(self, symbol: str, page: KlinePage, asked: Run) -> Stored:
        """Store a page of history and write into the ledger what of `asked` it lacks."""

        async def write(connection: Connection) -> Stored:
            stored = await upsert_klines(connection, self._target(symbol), page.klines)
            # The ledger only under the write lock: parts of one of its runs may be asked for side by side.
            await take_write_lock(connection, self.epoch)
            missing = Runs([asked]) - _kept_minutes(page, stored)
            refused = find_refused_minutes([*page.refused, *stored.refused], missing)
            now = self.source.clock.now()
            await record_answer(connection, symbol, asked, missing - refused, now, refused=refused)
            return stored

        stored = await self.database.write(write)
        self._count(symbol, "page", stored, page.refused)
        return stored

    async def record_file(self, symbol: str, file: BulkFile, content: bytes, asked: Run) -> int:
        """Store the minutes of `asked`, which are missing, from a file; returns how many it gave.

        A minute that the file lacks is not noted as absent: pages decide that. Raises ArchiveCorruptError.
        """
        target = self._target(symbol)
        try:
            text = await self._run_in_thread(file.make_copy_text, content, asked, symbol)
            if text.count:
                await self.database.write(lambda connection: copy_missing_minutes(connection, target, text))
        except (UnusualRowError, DataRefusedError) as error:
            log.info("file_read_row_by_row", file=file.name, reason=str(error)[:200])
            return await self._record_rows(symbol, file, content, asked)
        self._count(symbol, file.name, Stored(text.count, 0, []), [])
        return text.count

    async def _record_rows(self, symbol: str, file: BulkFile, content: bytes, asked: Run) -> int:
        """Store a file row by row, so that only its bad rows are lost."""
        rows = file.read_rows(content, asked)
        count = 0
        while (klines := await self._run_in_thread(next, rows.chunks, None)) is not None:
            stored = await self._upsert(symbol, klines)
            count += stored.inserted
            self._count(symbol, file.name, stored, [])
        self._count(symbol, file.name, Stored(0, 0, []), rows.refused)
        return count

    def refuse(self, symbol: str, origin: str, refusal: Refusal) -> None:
        """Log and count a row that is not stored."""
        self._count(symbol, origin, Stored(0, 0, []), [refusal])

    async def _upsert(self, symbol: str, klines: Sequence[Kline]) -> Stored:
        return await self.database.write(lambda connection: upsert_klines(connection, self._target(symbol), klines))

    async def _run_in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._unpacker, work, *arguments)

    def _target(self, symbol: str) -> WriteTarget:
        return WriteTarget(symbol, self.source.label, self.epoch)

    def _count(self, symbol: str, origin: str, stored: Stored, refused: Sequence[Refusal]) -> None:
        self.counts.add(stored)
        log_refusals(self.counts.add_refused(symbol, [*refused, *stored.refused]), symbol, origin)


def find_refused_minutes(refused: Sequence[Refusal], missing: Runs) -> Runs:
    """Return what of `missing` the exchange has rows for that were refused; it is not absent there.

    A row that does not even tell its minute may stand for any of them.
    """
    minutes: list[datetime] = []
    for refusal in refused:
        if refusal.is_spare:
            continue
        if refusal.minute is None:
            return missing
        minutes.append(refusal.minute)
    return missing & Runs.of_minutes(minutes)


def _kept_minutes(page: KlinePage, stored: Stored) -> Runs:
    """Return the minutes of a page that are in the ticks now."""
    refused = {refusal.minute for refusal in stored.refused}
    return Runs.of_minutes(kline.minute for kline in page.klines if kline.minute not in refused)
