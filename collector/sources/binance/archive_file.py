"""A file of Binance's archives: a zip of one CSV a month or a day, told by its name and read row by row.

Times are milliseconds, or microseconds from 2025 on, told by their magnitude; the first row may be a header.
"""

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from typing import Literal

from collector.klines import Kline, Refusal, arrange_klines
from collector.sources.binance.klines import parse_klines
from collector.sources.source import BulkRows
from shared.errors import ArchiveCorruptError
from shared.instant import DAY
from shared.runs import Run

Span = Literal["monthly", "daily"]

CHUNK_ROWS = 4096
# A month of minutes is 6 MB unpacked.
LARGEST_CSV_BYTES = 64 * 1024 * 1024
_MICROSECONDS_FROM = 10**14
# What reading a damaged, encrypted or oddly packed zip, or a file that is no table of ASCII, can raise.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, csv.Error, EOFError, OSError, RuntimeError, ValueError)


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
    def minutes(self) -> Run:
        """The minutes that it can hold."""
        start = datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC)
        if self.span == "daily":
            return Run(start, start + DAY)
        later = start + timedelta(days=31)
        return Run(start, later.replace(day=1))


def read_archive(content: bytes, file: ArchiveFile, asked: Run) -> BulkRows:
    """Unpack a zip and check its rows, keeping the minutes of `asked`.

    Raises ArchiveCorruptError, at once or while the chunks are read, when it is not such a file.
    """
    result = BulkRows(iter(()))
    result.chunks = _read_chunks(content, file, asked, result.refused)
    return result


def _read_chunks(content: bytes, file: ArchiveFile, asked: Run, refused: list[Refusal]) -> Iterator[list[Kline]]:
    with open_csv(content, file) as lines:
        rows: Iterator[list[str]] = csv.reader(lines)
        first = next(rows, None)
        if first and is_header(first[0]):
            first = next(rows, None)
        ticks_per_ms = 1000 if first and is_microseconds(first[0]) else 1
        rows = chain([first] if first else [], rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            page = arrange_klines(parse_klines(chunk, ticks_per_ms), file.minutes)
            refused.extend(page.refused)
            yield [kline for kline in page.klines if asked.start <= kline.minute < asked.end]


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
