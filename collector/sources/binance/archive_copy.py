"""An archive's rows as COPY text, nearly untouched: Postgres itself checks them, many times faster than we could.

The table's constraints say the same as `parse_klines`. What does not fit here or is refused there is read row by row,
and only the bad rows are lost.
"""

from datetime import date, datetime, timedelta

from collector.copy_text import CopyText, UnusualRowError, quote_field
from collector.sources.binance.archive_file import ArchiveFile, is_header, is_microseconds, open_csv
from shared.instant import EPOCH, MINUTE, MINUTE_MS
from shared.runs import Run

_PIECE_ROWS = 1024
_MINUTES_OF_DAY = [f" {minute // 60:02}:{minute % 60:02}:00+00," for minute in range(1440)]
_FIRST_DAY = date(1970, 1, 1)


def make_copy_text(content: bytes, file: ArchiveFile, asked: Run, symbol: str, label: str) -> CopyText:
    """Turn a file's minutes of `asked` into CSV with COPY_COLUMNS, labelled as its source's; CPU work for a thread.

    Raises UnusualRowError for what only a careful reading can tell, ArchiveCorruptError for what is no such file.
    """
    first, end = (_number(minute) for minute in asked)
    file_first, file_end = (_number(minute) for minute in file.minutes)
    ending = f",{quote_field(symbol)},{quote_field(label)}\n"
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
    return CopyText(pieces, count, Run(EPOCH + first_kept * MINUTE, EPOCH + (last_kept + 1) * MINUTE))


def _number(minute: datetime) -> int:
    """Return how many minutes have passed since 1970."""
    return (minute - EPOCH) // MINUTE
