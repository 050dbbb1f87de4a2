"""The host of Binance's archives: which file pays for a hole, and its content once its SHA-256 was checked."""

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp

from collector.copy_text import CopyText
from collector.sources.binance.archive_copy import make_copy_text
from collector.sources.binance.archive_file import ArchiveFile, read_archive
from collector.sources.request_gate import RequestGate
from collector.sources.retry_after import choose_pause
from collector.sources.source import BulkRows, Part, cut_newest_page
from shared.backoff import Backoff
from shared.errors import ExchangeUnreachableError
from shared.instant import MINUTE, floor_day
from shared.logging import get_logger
from shared.runs import Run

log = get_logger(__name__)

# A month's file pays from so many missing days of it on; where none does, daily files fill a hole of a week.
MONTH_PAYS_FROM = timedelta(days=10)
DAYS_PAY_FROM = timedelta(days=7)
# Days appear the day after, months in the first days of the next; what is tried too soon is left to REST.
MONTH_APPEARS_AFTER = timedelta(days=1)
DAY_APPEARS_AFTER = timedelta(hours=6)
TIMEOUT_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 3.0
# A month of minutes is 2.5 MB packed; what is far larger is not such a file.
LARGEST_ZIP_BYTES = 32 * 1024 * 1024
_FIRST_REST_SECONDS = 30.0
_LONGEST_REST_SECONDS = 900.0


class Archives:
    """Fetches files, each once; one that is not published, or is damaged, is left to REST."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, label: str, gate: RequestGate, page_minutes: int
    ) -> None:
        self._session = session
        self._url = url
        self.label = label
        self._gate = gate
        self._page_minutes = page_minutes
        self._done: set[ArchiveFile] = set()
        self._backoff = Backoff(_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS, jitter=0.0)
        self._rests_until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether files can be asked for at all just now."""
        return bool(self._url) and time.monotonic() >= self._rests_until

    def choose_part(self, name: str, hole: Run, now: datetime) -> Part:
        """Return the newest part of a hole and the file that pays for it, or a page.

        A long hole's page ends where its newest day begins, so that the days before it can come from files.
        """
        file = self._find_file(name, hole, now)
        if file:
            return Part(Run(max(hole.start, file.minutes.start), hole.end), OfferedFile(self, file))
        page = cut_newest_page(hole, self._page_minutes)
        if self.is_on and hole.end - hole.start >= DAYS_PAY_FROM:
            page = Run(max(page.start, floor_day(hole.end - MINUTE)), hole.end)
        return Part(page, None)

    def _find_file(self, name: str, hole: Run, now: datetime) -> ArchiveFile | None:
        if not self.is_on:
            return None
        last_day = (hole.end - MINUTE).date()
        month = ArchiveFile(name, "monthly", last_day.replace(day=1))
        missing_of_month = hole.end - max(hole.start, month.minutes.start)
        if (
            missing_of_month >= MONTH_PAYS_FROM
            and now >= month.minutes.end + MONTH_APPEARS_AFTER
            and month not in self._done
        ):
            return month
        day = ArchiveFile(name, "daily", last_day)
        is_whole_day = hole.start <= day.minutes.start and hole.end == day.minutes.end
        pays = is_whole_day and hole.end - hole.start >= DAYS_PAY_FROM
        return day if pays and now >= day.minutes.end + DAY_APPEARS_AFTER and day not in self._done else None

    async def fetch(self, file: ArchiveFile) -> bytes | None:
        """Return the verified zip; None when there is no such file or it is damaged, and it is not asked for again.

        Raises ExchangeUnreachableError when the host does not answer; then no file is offered for a while.
        """
        stated = await self._get(file.path + ".CHECKSUM", 4096)
        content = await self._get(file.path, LARGEST_ZIP_BYTES) if stated is not None else None
        if stated is None or content is None:
            self._done.add(file)
            log.info("archive_not_published", file=file.name)
            return None
        words = stated.decode("ascii", "replace").split()
        if not words or hashlib.sha256(content).hexdigest() != words[0].lower():
            self.distrust(file, "its checksum does not match")
            return None
        return content

    def finish(self, file: ArchiveFile) -> None:
        """Offer a file no more: its minutes are stored, and REST may have those that it lacks."""
        self._done.add(file)

    def distrust(self, file: ArchiveFile, reason: str) -> None:
        """Leave a file's minutes to REST from now on."""
        self._done.add(file)
        log.warning("archive_refused", file=file.name, reason=reason)

    async def _get(self, path: str, largest_bytes: int) -> bytes | None:
        while True:
            await self._gate.admit(0)
            try:
                bound = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=15)
                async with self._session.get(self._url + path, timeout=bound) as response:
                    if response.status in {429, 418}:
                        seconds = choose_pause(response.status, response.headers.get("Retry-After"))
                        self._gate.pause(seconds, f"HTTP {response.status} from the archive")
                        continue
                    if response.status == 404:
                        return None
                    content = await _read_body(response, largest_bytes)
                    self._backoff.reset()
                    return content
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                self._rests_until = time.monotonic() + self._backoff.next()
                reason = str(error) or type(error).__name__
                raise ExchangeUnreachableError(f"The archive has no {path}: {reason}; REST is used.") from error


@dataclass(frozen=True)
class OfferedFile:
    """A file that a hole may be filled from, as the collector knows it."""

    archives: Archives
    file: ArchiveFile

    @property
    def name(self) -> str:
        """The name that the log shows."""
        return self.file.name

    async def fetch(self) -> bytes | None:
        """Return the verified zip; None where there is none."""
        return await self.archives.fetch(self.file)

    def make_copy_text(self, content: bytes, asked: Run, symbol: str) -> CopyText:
        """Turn the minutes of `asked` into text for COPY."""
        return make_copy_text(content, self.file, asked, symbol, self.archives.label)

    def read_rows(self, content: bytes, asked: Run) -> BulkRows:
        """Read the minutes of `asked` row by row."""
        return read_archive(content, self.file, asked)

    def finish(self) -> None:
        """Offer the file no more: its minutes are stored, and REST may have those that it lacks."""
        self.archives.finish(self.file)

    def distrust(self, reason: str) -> None:
        """Leave the file's minutes to REST from now on."""
        self.archives.distrust(self.file, reason)


async def _read_body(response: aiohttp.ClientResponse, largest_bytes: int) -> bytes:
    if response.status != 200:
        raise ValueError(f"HTTP {response.status}")
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > largest_bytes:
            raise ValueError("it is larger than such a file can be")
    return bytes(content)
