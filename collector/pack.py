"""An archive's rows as COPY text, nearly untouched: Postgres itself checks them, many times faster than we could.

The table's constraints say the same as `parse_klines`. What does not fit here or is refused there goes the slow way,
row by row, and only the bad rows are lost.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from collector.archive import ArchiveFile, is_header, is_microseconds, open_csv
from collector.klines import MINUTE_MS, Label
from shared.instant import to_milliseconds
from shared.runs import Run

COPY_COLUMNS = (
    "minute",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_base_volume",
    "taker_quote_volume",
    "symbol",
    "source",
)
_PIECE_ROWS = 1024
_MINUTES_OF_DAY = [f" {minute // 60:02}:{minute % 60:02}:00+00," for minute in range(1440)]
_FIRST_DAY = date(1970, 1, 1)


class UnusualRowError(Exception):
    """A row that is not twelve fields in the order of its minutes; the file wants to be read with care."""


@dataclass(frozen=True)
class PackedArchive:
    """COPY text in pieces, how many minutes it has, and the first and the last of them."""

    pieces: list[bytes]
    count: int
    first_ms: int
    last_ms: int


def pack_archive(label: Label, file: ArchiveFile, content: bytes, asked: Run) -> PackedArchive:
    """Turn a file's minutes of `asked` into CSV with COPY_COLUMNS; CPU work for a thread.

    Raises UnusualRowError for what only a careful reading can tell, ArchiveCorruptError for what is no such file.
    """
    first = to_milliseconds(asked.start) // MINUTE_MS
    end = to_milliseconds(asked.end) // MINUTE_MS
    file_first, file_end = file.start_ms // MINUTE_MS, file.end_ms // MINUTE_MS
    ending = f",{label.symbol},{_quoted(label.source)}\n"
    pieces: list[bytes] = []
    rows: list[str] = []
    count, first_kept, last_kept = 0, 0, 0
    previous, day, prefix, unit = file_first - 1, -1, "", 0
    with open_csv(content, file) as lines:
        for number, line in enumerate(lines):
            fields = line.rstrip().split(",")
            if not unit:
                if number == 0 and is_header(fields[0]):
                    continue
                unit = MINUTE_MS * (1000 if is_microseconds(fields[0]) else 1)
            try:
                time, open_, high, low, close, volume, _, quote, trades, taker_base, taker_quote, _ = fields
                minute, remainder = divmod(int(time), unit)
            except ValueError as error:
                raise UnusualRowError(line) from error
            if remainder or not previous < minute < file_end:
                raise UnusualRowError(line)
            previous = minute
            if not first <= minute < end:
                continue
            if minute // 1440 != day:
                day = minute // 1440
                prefix = str(_FIRST_DAY + timedelta(days=day))
            first_kept, last_kept = first_kept or minute, minute
            count += 1
            rows.append(
                f"{prefix}{_MINUTES_OF_DAY[minute % 1440]}{open_},{high},{low},{close},{volume},{quote},{trades},"
                f"{taker_base},{taker_quote}{ending}"
            )
            if len(rows) == _PIECE_ROWS:
                pieces.append("".join(rows).encode())
                rows.clear()
    if rows:
        pieces.append("".join(rows).encode())
    return PackedArchive(pieces, count, first_kept * MINUTE_MS, last_kept * MINUTE_MS)


def _quoted(text: str) -> str:
    """Return text as one CSV field."""
    return '"' + text.replace('"', '""') + '"'
