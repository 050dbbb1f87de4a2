"""`--since` and `--until` of the commands, as instants by an exchange's clock."""

from argparse import Namespace
from datetime import datetime

from shared.errors import UsageError
from shared.instant import floor_minute, parse_instant, utc_now


def check_dates(options: Namespace) -> None:
    """Refuse what is no date before anything is opened."""
    for name in ("since", "until"):
        text = getattr(options, name)
        try:
            if text is not None:
                parse_instant(text, utc_now())
        except ValueError as error:
            raise UsageError(f"--{name}: {error}.") from error


def read_minute(text: str, now: datetime) -> datetime:
    """Return the minute that a date or a duration before `now` means; raises UsageError with a sentence."""
    try:
        return floor_minute(parse_instant(text, now))
    except ValueError as error:
        raise UsageError(f"{error}.") from error
