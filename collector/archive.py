"""The exchange's archives: a zip of one CSV a month or a day, for the bulk of a long backfill.

A file is used only when its SHA-256 matches the one published beside it. Times are milliseconds, or microseconds from
2025 on, told by their magnitude; the first row may be a header.
"""

import csv
import hashlib
import io
import lzma
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from typing import Literal

import aiohttp

from collector.klines import MINUTE_MS, Kline, Refusal, parse_klines
from collector.rate_limit import RequestGate, pause_from_answer
from shared.errors import ArchiveCorruptError, ExchangeUnreachableError
from shared.instant import from_milliseconds, to_milliseconds
from shared.logging import get_logger

log = get_logger(__name__)

Span = Literal["monthly", "daily"]

DAY_MS = 1440 * MINUTE_MS
# A hole of so much is filled with daily files, where no monthly one pays.
DAYS_FROM = timedelta(days=7)
CHUNK_ROWS = 4096
TIMEOUT_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 3.0
# A month of minutes is 2.5 MB packed and 6 MB unpacked; what is far larger is not such a file.
LARGEST_ZIP_BYTES = 32 * 1024 * 1024
LARGEST_CSV_BYTES = 64 * 1024 * 1024
_MICROSECONDS_FROM = 10**14
# What reading a damaged, encrypted or oddly packed zip, or a file that is no table of ASCII, can raise.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, csv.Error, EOFError, OSError, RuntimeError, ValueError)
_FIRST_REST_SECONDS = 30.0
_LONGEST_REST_SECONDS = 900.0


@dataclass(frozen=True)
class ArchiveFile:
    """One published file: a symbol's month or day, beginning on `first_day`."""

    symbol: str
    span: Span
    first_day: date

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        day = self.first_day.isoformat()
        return f"{self.symbol}-1m-{day[:7] if self.span == 'monthly' else day}"

    @property
    def path(self) -> str:
        """Where it lies below the archive's URL."""
        return f"/data/spot/{self.span}/klines/{self.symbol}/1m/{self.name}.zip"

    @property
    def start_ms(self) -> int:
        """The first minute that it can hold."""
        return to_milliseconds(datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC))

    @property
    def end_ms(self) -> int:
        """The first minute after it."""
        if self.span == "daily":
            return self.start_ms + DAY_MS
        later = self.first_day + timedelta(days=31)
        return to_milliseconds(datetime(later.year, later.month, 1, tzinfo=UTC))


@dataclass
class ArchiveRows:
    """The rows of one file, in chunks, with what was refused so far."""

    klines: Iterator[list[Kline]]
    refused: list[Refusal] = field(default_factory=list)


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


def read_archive(content: bytes, file: ArchiveFile, start_ms: int, end_ms: int) -> ArchiveRows:
    """Unpack a zip and check its rows, keeping those that open in [start_ms, end_ms).

    Raises ArchiveCorruptError, at once or while the chunks are read, when it is not such a file.
    """
    result = ArchiveRows(iter(()))
    result.klines = _chunks(content, file, start_ms, end_ms, result.refused)
    return result


def _chunks(
    content: bytes, file: ArchiveFile, start_ms: int, end_ms: int, refused: list[Refusal]
) -> Iterator[list[Kline]]:
    with open_csv(content, file) as lines:
        rows: Iterator[list[str]] = csv.reader(lines)
        first = next(rows, None)
        if first and is_header(first[0]):
            first = next(rows, None)
        ticks_per_ms = 1000 if first and is_microseconds(first[0]) else 1
        rows = chain([first] if first else [], rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            page = parse_klines(chunk, file.start_ms, file.end_ms, ticks_per_ms)
            refused.extend(page.refused)
            yield [kline for kline in page.klines if start_ms <= kline.minute_ms < end_ms]


@contextmanager
def open_csv(content: bytes, file: ArchiveFile) -> Iterator[io.TextIOWrapper]:
    """Open the CSV in a zip as lines of text; raises ArchiveCorruptError, then or while it is read, when it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].filename != f"{file.name}.csv":
                raise ArchiveCorruptError(f"{file.name}.zip does not hold {file.name}.csv alone.")
            if members[0].file_size > LARGEST_CSV_BYTES:
                raise ArchiveCorruptError(f"{file.name}.csv is larger than such a file can be.")
            with archive.open(members[0]) as member:
                yield io.TextIOWrapper(member, encoding="ascii", newline="")
    except _UNREADABLE as error:
        raise ArchiveCorruptError(f"{file.name}.zip cannot be read: {error}.") from error


def is_header(first_field: str) -> bool:
    """Whether a row's first field names the column, as the first row's may."""
    return first_field.strip().lower().startswith("open")


def is_microseconds(time: str) -> bool:
    """Whether the digits of a time count microseconds since 1970, and not milliseconds."""
    return time.isdigit() and len(time) < 20 and int(time) >= _MICROSECONDS_FROM
