"""Parses and writes instants: RFC 3339, a date, epoch milliseconds, or a duration before now.

Inside Minutebook every instant is an aware UTC `datetime`; only this module converts it from and to text.
"""

import re
from datetime import UTC, datetime, timedelta

MILLISECOND = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII | re.IGNORECASE
)
# 1e11 ms is in 1973 and 1e11 s in the year 5138, so a smaller number is a time in seconds sent by mistake.
_SMALLEST_MILLISECONDS = 100_000_000_000
_EARLIEST = datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> timedelta:
    """Parse `90s`, `15m`, `24h`, `7d` or `2w`; raises ValueError with a sentence for any other text."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"'{text}' is not a duration such as 90s, 15m, 24h, 7d or 2w")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(f"'{text}' is longer than any record") from error


def is_duration(text: str) -> bool:
    """Whether `parse_instant` reads the text as a duration, so that the instant moves with the time."""
    return _DURATION.fullmatch(text) is not None


def parse_instant(text: str, now: datetime) -> datetime:
    """Parse an instant, or a duration before `now`; a time without a zone is UTC.

    Raises ValueError, with a sentence that shows what can be parsed.
    """
    if _INTEGER.fullmatch(text):
        milliseconds = int(text)
        if abs(milliseconds) < _SMALLEST_MILLISECONDS:
            raise ValueError(
                f"'{text}' looks like seconds; give milliseconds since 1970 ({milliseconds}000) or RFC 3339"
            )
        return _check_instant(text, milliseconds)
    if is_duration(text):
        try:
            instant = now - parse_duration(text)
        except OverflowError as error:
            raise ValueError(f"'{text}' reaches back before the first year") from error
        if instant < _EARLIEST:
            raise ValueError(f"'{text}' reaches back before 1973, before any record")
        return instant
    if _ISO.fullmatch(text):
        try:
            instant = datetime.fromisoformat(text.upper())
        except ValueError as error:
            raise ValueError(f"'{text}' is not a time: {error}") from error
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        if not _EARLIEST <= instant <= _LATEST:
            raise ValueError(f"'{text}' lies outside the years that can be asked for")
        return instant.astimezone(UTC)
    raise ValueError(f"'{text}' is not a time such as 2026-11-22T12:34:00Z, 2026-11-22, 1795350840000 (ms) or 24h")


def _check_instant(text: str, milliseconds: int) -> datetime:
    try:
        instant = from_milliseconds(milliseconds)
    except OverflowError as error:
        raise ValueError(f"'{text}' is beyond any date") from error
    if not _EARLIEST <= instant <= _LATEST:
        raise ValueError(f"'{text}' lies outside the years that can be asked for; are these milliseconds?")
    return instant


def from_milliseconds(milliseconds: int) -> datetime:
    """Convert milliseconds since 1970 to an aware UTC datetime, exactly."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_milliseconds(instant: datetime) -> int:
    """Convert an aware datetime to whole milliseconds since 1970, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def to_text(instant: datetime) -> str:
    """Write an aware datetime as RFC 3339 UTC with a `Z`, and with a fraction only when it has one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def utc_now() -> datetime:
    """Return the time now, by the machine's clock."""
    return datetime.now(UTC)


def floor_day(instant: datetime) -> datetime:
    """Return the start of the UTC day that contains `instant`, which must be in UTC."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def floor_minute(instant: datetime) -> datetime:
    """Return the start of the minute that contains `instant`."""
    return instant.replace(second=0, microsecond=0)
