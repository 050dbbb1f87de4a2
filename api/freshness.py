"""How old things are: the newest minute by the exchange's clock, and when a silence is one."""

from datetime import datetime

from shared.instant import MINUTE

# Two closes missed: more than a late answer of the exchange explains.
STALE_SECONDS = 120
# Collector and predictor give a sign every few seconds; past this, several were missed.
SILENT_SECONDS = 60


def age_seconds(minute: datetime, now: datetime) -> float:
    """Seconds from the close of `minute` to now, to the millisecond; never negative."""
    return seconds_since(minute + MINUTE, now)


def seconds_since(instant: datetime, now: datetime) -> float:
    """Seconds to the millisecond; never negative."""
    return max(0.0, round((now - instant).total_seconds(), 3))


def is_stale(age: float) -> bool:
    """Whether a newest minute of that age is too old to be called current."""
    return age > STALE_SECONDS
