"""Reads the names of archives, and says when the exchange publishes each."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shared.instant import to_milliseconds

# The exchange publishes a day's file in the night after it.
PUBLISHED_AFTER = timedelta(hours=2)

_PATH = re.compile(
    r"/data/spot/(?:(?P<daily>daily)|monthly)/klines/(?P<symbol>[A-Z0-9]{1,20})/1m/"
    r"(?P=symbol)-1m-(?P<year>\d{4})-(?P<month>\d{2})(?(daily)-(?P<day>\d{2}))\.zip(?P<checksum>\.CHECKSUM)?",
    re.ASCII,
)


@dataclass(frozen=True)
class ArchiveName:
    """A day's or a month's archive."""

    symbol: str
    first: date
    end: date  # exclusive
    daily: bool

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return f"{self.symbol}-1m-{self.first:%Y-%m-%d}" if self.daily else f"{self.symbol}-1m-{self.first:%Y-%m}"

    @property
    def start_ms(self) -> int:
        """Its first minute, in ms since 1970 UTC."""
        return _midnight_ms(self.first)

    @property
    def end_ms(self) -> int:
        """The end of its last minute, in ms since 1970 UTC."""
        return _midnight_ms(self.end)

    @property
    def published_ms(self) -> int:
        """When it is published: a day's in the night after it, a month's on the first Monday of the next month."""
        on = self.end if self.daily else self.end + timedelta(days=-self.end.weekday() % 7)
        return _midnight_ms(on) + PUBLISHED_AFTER // timedelta(milliseconds=1)


def parse_archive_path(path: str) -> tuple[ArchiveName, bool] | None:
    """Return the archive that a path names, and whether it names its checksum; None for any other path."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    daily = match["daily"] is not None
    try:
        first = date(int(match["year"]), int(match["month"]), int(match["day"]) if daily else 1)
        end = first + timedelta(days=1) if daily else (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        return None
    return ArchiveName(match["symbol"], first, end, daily), match["checksum"] is not None


def _midnight_ms(day: date) -> int:
    return to_milliseconds(datetime.combine(day, time(), UTC))
