"""The host of the exchange's archives: which file pays for a hole, and its content once its SHA-256 was checked."""

import hashlib
import time
from datetime import timedelta

import aiohttp

from collector.archive import DAY_MS, ArchiveFile
from collector.rate_limit import RequestGate, pause_from_answer
from shared.errors import ExchangeUnreachableError
from shared.instant import from_milliseconds
from shared.logging import get_logger

log = get_logger(__name__)

# A hole of so much is filled with daily files, where no monthly one pays.
DAYS_FROM = timedelta(days=7)
TIMEOUT_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 3.0
# A month of minutes is 2.5 MB packed; what is far larger is not such a file.
LARGEST_ZIP_BYTES = 32 * 1024 * 1024
_FIRST_REST_SECONDS = 30.0
_LONGEST_REST_SECONDS = 900.0


class Archives:
    """Fetches files, each once; one that is not published, or is damaged, is left to REST."""

    def __init__(self, session: aiohttp.ClientSession, url: str, gate: RequestGate) -> None:
        self._session = session
        self._url = url
        self._gate = gate
        self._done: set[ArchiveFile] = set()
        self._failures = 0
        self._rests_until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether files can be asked for at all just now."""
        return bool(self._url) and time.monotonic() >= self._rests_until

    def covering(self, symbol: str, start_ms: int, end_ms: int, now_ms: int) -> ArchiveFile | None:
        """Return the file with which to fill the newest part of the missing minutes [start_ms, end_ms), if it pays.

        A month's file from ten missing days of it on, a day's from a whole one in a hole of a week. Days appear the
        day after, months in the first days of the next; what is tried too soon answers 404 and is left to REST.
        """
        if not self.is_on:
            return None
        last_day = from_milliseconds(end_ms - 1).date()
        month = ArchiveFile(symbol, "monthly", last_day.replace(day=1))
        missing_of_month = end_ms - max(start_ms, month.start_ms)
        if missing_of_month >= 10 * DAY_MS and now_ms >= month.end_ms + DAY_MS and month not in self._done:
            return month
        day = ArchiveFile(symbol, "daily", last_day)
        whole_day = start_ms <= day.start_ms and end_ms == day.end_ms
        if (
            whole_day
            and end_ms - start_ms >= DAYS_FROM // timedelta(milliseconds=1)
            and now_ms >= day.end_ms + DAY_MS // 4
        ):
            return None if day in self._done else day
        return None

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
        """Offer a file no more: its minutes are stored, and what they lack REST may have."""
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
                        seconds = pause_from_answer(response.status, response.headers.get("Retry-After"), "", None)
                        self._gate.pause(seconds, f"HTTP {response.status} from the archive")
                        continue
                    if response.status == 404:
                        return None
                    content = await _read_body(response, largest_bytes)
                    self._failures = 0
                    return content
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                self._failures += 1
                rest = min(_LONGEST_REST_SECONDS, _FIRST_REST_SECONDS * 2.0 ** min(self._failures - 1, 10))
                self._rests_until = time.monotonic() + rest
                reason = str(error) or type(error).__name__
                raise ExchangeUnreachableError(f"The archive gives no {path}: {reason}; REST is used.") from error


async def _read_body(response: aiohttp.ClientResponse, largest_bytes: int) -> bytes:
    if response.status != 200:
        raise ValueError(f"HTTP {response.status}")
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > largest_bytes:
            raise ValueError("it is larger than such a file can be")
    return bytes(content)
