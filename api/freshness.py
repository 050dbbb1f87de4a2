"""How old the newest minute is, by the exchange's clock."""

from datetime import datetime

from shared.instant import MINUTE

# Two closes missed: more than a late answer of the exchange explains.
STALE_SECONDS = 120


def age_seconds(minute: datetime, now: datetime) -> float:
    """Seconds from the close of `minute` to now, to the millisecond; never negative."""
    return max(0.0, round((now - minute - MINUTE).total_seconds(), 3))


def is_stale(age: float) -> bool:
    """Whether a newest minute of that age is too old to be called current."""
    return age > STALE_SECONDS
