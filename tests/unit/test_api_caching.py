"""How long answers are kept, and when a reader has one already."""

from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.caching import compute_max_age, compute_time_to_next_minute, make_cached_response

NOW = datetime(2024, 3, 1, 12, 30, 15, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (NOW, 44),
        (NOW.replace(second=0, microsecond=0), 60),
        (NOW.replace(second=59, microsecond=999_999), 0),
        (NOW.replace(second=59, microsecond=0), 1),
    ],
)
def test_an_answer_ends_with_its_minute(now: datetime, seconds: int) -> None:
    """Never later; in whole seconds."""
    assert compute_time_to_next_minute(now) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        (timedelta(minutes=-5), timedelta(seconds=44)),
        (timedelta(minutes=59), timedelta(seconds=44)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(hours=7), timedelta(hours=7)),
        (timedelta(days=900), timedelta(days=1)),
    ],
)
def test_the_older_a_range_the_longer_it_is_kept(age: timedelta, kept: timedelta) -> None:
    """From an hour on, up to a day."""
    assert compute_max_age(NOW - age, NOW) == kept


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 200),
        ("*", 304),
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"a", "b" ,{tag}', 304),
        ('"a"', 200),
        ("", 200),
        ("garbage", 200),
    ],
)
def test_if_none_match(header: str | None, status: int) -> None:
    """A list, a weak tag and a star are understood; 304 has no body and the same tag."""
    tag = _ask(None).headers["etag"]
    response = _ask(header.format(tag=tag) if header is not None else None)
    assert response.status_code == status
    assert response.headers["etag"] == tag
    assert response.body == (b"body" if status == 200 else b"")


def _ask(header: str | None) -> Response:
    headers = [] if header is None else [(b"if-none-match", header.encode())]
    return make_cached_response(Request({"type": "http", "headers": headers}), b"body", timedelta(seconds=5))
