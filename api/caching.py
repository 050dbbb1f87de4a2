"""Answers that can be kept: strong ETags, If-None-Match, and how long."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from shared.instant import DAY, MINUTE

_HOUR = 60 * MINUTE
# What only a new version changes: soon enough after it.
UNTIL_RELEASE = _HOUR


def make_cached_response(  # noqa: PLR0913 - an answer has so many sides, most with a default
    request: Request,
    body: bytes,
    max_age: timedelta,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    identity: bytes | None = None,
) -> Response:
    """Return the answer with its ETag, or 304 without a body where the reader has it already.

    `identity` is what the tag is made of where that is less than the body.
    """
    # The 128 bits kept are far more than chance can meet; SHA-256 is the fastest here, by the processor's own help.
    etag = f'"{hashlib.sha256(body if identity is None else identity).hexdigest()[:32]}"'
    all_headers = {
        "etag": etag,
        "cache-control": f"public, max-age={max(0, int(max_age.total_seconds()))}",
        **(headers or {}),
    }
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=all_headers)
    return Response(body, headers=all_headers, media_type=media_type)


def compute_time_to_next_minute(now: datetime) -> timedelta:
    """How long an answer that the next closed minute changes may be kept: whole seconds, rounded down."""
    return MINUTE - timedelta(seconds=now.second + (1 if now.microsecond else 0))


def compute_max_age(end: datetime, now: datetime) -> timedelta:
    """How long an answer about a whole, fixed range that ended at `end` may be kept.

    Corrections come within minutes of a close if at all, and the older a range the less likely; but they do come,
    so that an answer is kept as long again as its range has been past, from an hour on, up to a day.
    """
    age = now - end
    return compute_time_to_next_minute(now) if age < _HOUR else min(age, DAY)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    # The comparison is the weak one: a gateway that compresses weakens the tag on its way out.
    return header.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in header.split(","))
