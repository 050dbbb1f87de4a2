"""Cursors come back as they went, and nothing else is taken for one."""

import base64
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import Cursor, Place, decode_cursor
from api.problems import ProblemError

instants = st.datetimes(datetime(1973, 4, 1), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with one
minutes = instants.map(lambda instant: instant.replace(second=0, microsecond=0))


@given(
    asked=st.dictionaries(st.sampled_from(("interval", "order", "start", "end")), st.text(max_size=70)),
    start=instants,
    length=st.timedeltas(timedelta(0), timedelta(days=3_000)),
    position=minutes,
    within=st.integers(0, 1_440),
)
def test_a_cursor_comes_back_as_it_went(
    asked: dict[str, str], start: datetime, length: timedelta, position: datetime, within: int
) -> None:
    """Through a text that needs no escaping in a query."""
    if start.year > 8_980:
        return
    cursor = Cursor("history", asked, "BTCUSDT", start, start + length, Place(position, within))
    text = cursor.encode()
    assert text.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(text, "history", asked) == cursor


@given(st.text(max_size=200))
def test_other_texts_are_refused(text: str) -> None:
    """With a problem, never another error."""
    with pytest.raises(ProblemError):
        decode_cursor(text, "history", {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(json_values, min_size=8, max_size=8))
def test_forged_cursors_are_refused(content: list[object]) -> None:
    """Whatever is inside."""
    forged = base64.urlsafe_b64encode(orjson.dumps([1, "history", *content[2:]])).decode().rstrip("=")
    try:
        cursor = decode_cursor(forged, "history", {})
    except ProblemError:
        return
    assert cursor.start <= cursor.end


def test_a_cursor_belongs_to_its_route() -> None:
    """Those of gaps and history look alike."""
    now = datetime(2024, 3, 1, tzinfo=UTC)
    text = Cursor("gaps", {}, "BTCUSDT", now, now, Place(now)).encode()
    with pytest.raises(ProblemError):
        decode_cursor(text, "history", {})
