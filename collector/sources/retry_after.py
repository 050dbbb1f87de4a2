"""How long an answer "too many requests" (429) or "banned" (418) asks us to stay away."""

import math
from email.utils import parsedate_to_datetime

from shared.instant import utc_now

LONGEST_PAUSE_SECONDS = 7 * 86_400.0
TOO_MANY_REQUESTS_SECONDS = 60.0
BANNED_SECONDS = 120.0
UNREADABLE_SECONDS = 120.0


def choose_pause(status: int, retry_after: str | None, *asked_seconds: float) -> float:
    """Return the seconds to pause: the longest of the header `Retry-After` and of what the answer asks elsewhere.

    Without either a minute after a 429 and, since bans begin at two minutes, two after a 418; never more than a week.
    """
    asked = [*asked_seconds, *([] if retry_after is None else [_read_header(retry_after)])]
    # A pause that is over already is ignored: it was computed by another clock than ours.
    default = TOO_MANY_REQUESTS_SECONDS if status == 429 else BANNED_SECONDS
    return min(max((seconds for seconds in asked if seconds > 0), default=default), LONGEST_PAUSE_SECONDS)


def _read_header(retry_after: str) -> float:
    """Read the header, a number of seconds or a date (RFC 9110), as seconds."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - utc_now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return UNREADABLE_SECONDS
        # A date in the past shows that our clock is wrong, and not how long the pause is.
        seconds = seconds if seconds > 0 else UNREADABLE_SECONDS
    return seconds if math.isfinite(seconds) else UNREADABLE_SECONDS
