"""Instants and durations as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.instant import (
    EPOCH,
    floor_day,
    floor_minute,
    from_milliseconds,
    parse_duration,
    parse_instant,
    to_milliseconds,
    to_text,
)

NOW = datetime(2026, 11, 22, 12, 34, 56, 789_000, tzinfo=UTC)

instants = st.integers(126_230_400_000_000, 7_258_118_400_000_000).map(
    lambda microseconds: EPOCH + timedelta(microseconds=microseconds)
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-22T12:34:00Z", datetime(2026, 11, 22, 12, 34, tzinfo=UTC)),
        ("2026-11-22t12:34:00z", datetime(2026, 11, 22, 12, 34, tzinfo=UTC)),
        ("2026-11-22 12:34", datetime(2026, 11, 22, 12, 34, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T12:34:00+05:30", datetime(2026, 11, 22, 7, 4, tzinfo=UTC)),
        ("2026-11-22T12:34:00-0130", datetime(2026, 11, 22, 14, 4, tzinfo=UTC)),
        ("2026-11-22T12:34:00.5Z", datetime(2026, 11, 22, 12, 34, 0, 500_000, tzinfo=UTC)),
        ("1795350840000", datetime(2026, 11, 22, 11, 34, tzinfo=UTC) + timedelta(hours=1)),
        ("24h", NOW - timedelta(days=1)),
        ("90s", NOW - timedelta(seconds=90)),
        ("2w", NOW - timedelta(days=14)),
    ],
)
def test_instant_is_read(text: str, instant: datetime) -> None:
    """RFC 3339, a date, milliseconds or a duration before now; without a zone it is UTC."""
    found = parse_instant(text, NOW)
    assert found == instant
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1795350840", "looks like seconds; give milliseconds since 1970 .1795350840000."),
        ("0", "looks like seconds"),
        ("-5", "looks like seconds"),
        ("999999999999999999", "beyond any date|outside the years"),
        ("9" * 30, "is not a time such as"),
        ("-99999999999999", "outside the years|beyond any date"),
        ("", "is not a time such as"),
        ("yesterday", "is not a time such as"),
        ("2026-13-01", "is not a time"),
        ("2026-02-30", "is not a time"),
        ("2026-11-22T25:00", "is not a time"),
        ("2026-11-22T12:34:00+25:00", "is not a time"),
        ("0001-01-01T00:00:00+23:59", "outside the years"),
        ("9999-12-31T23:59:59-23:59", "outside the years"),
        ("1970-01-01", "outside the years"),
        ("99999d", "before 1973"),
        ("99999999d", "before the first year|before 1973"),
        ("999999999w", "longer than any record"),
        ("0d", "not a duration"),
        ("5y", "is not a time such as"),
        ("٣d", "is not a time such as"),
        ("2026-11-22\n", "is not a time such as"),
        (" 24h", "is not a time such as"),
    ],
)
def test_what_is_no_instant_is_refused_with_a_sentence(text: str, hint: str) -> None:
    """It names the text and what would be understood."""
    with pytest.raises(ValueError, match=hint) as caught:
        parse_instant(text, NOW)
    assert repr(text)[1:-1].replace("\\n", "\n") in str(caught.value)


@given(instants)
def test_what_is_written_is_read_back(instant: datetime) -> None:
    """As text exactly, as milliseconds to the millisecond."""
    assert parse_instant(to_text(instant), NOW) == instant
    milliseconds = to_milliseconds(instant)
    assert parse_instant(str(milliseconds), NOW) == from_milliseconds(milliseconds)
    assert timedelta(0) <= instant - from_milliseconds(milliseconds) < timedelta(milliseconds=1)
    assert to_text(instant).endswith("Z")


@given(st.text(max_size=40) | st.from_regex(r"\A[-+]?[0-9]{1,40}[smhdw]?\Z") | st.from_regex(
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?\Z"
))  # fmt: skip
def test_any_text_is_an_instant_or_a_sentence(text: str) -> None:
    """Nothing but ValueError comes out, and only years that can be asked for."""
    try:
        found = parse_instant(text, NOW)
    except ValueError as error:
        assert "'" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert 1973 <= found.year <= 9000


@pytest.mark.parametrize("text", ["", "5", "d", "-5d", "0h", "1.5h", "5 d", "5M", "1" * 10 + "d", "999999999w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With what would be one."""
    with pytest.raises(ValueError, match=r"not a duration such as|longer than any record"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800)])
def test_duration_is_read(text: str, seconds: int) -> None:
    """In seconds, minutes, hours, days or weeks."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(instants)
def test_floors_hold_their_instant(instant: datetime) -> None:
    """The start of its minute and of its day."""
    assert timedelta(0) <= instant - floor_minute(instant) < timedelta(minutes=1)
    assert timedelta(0) <= instant - floor_day(instant) < timedelta(days=1)
    assert to_milliseconds(floor_minute(instant)) % 60_000 == 0
    assert to_milliseconds(floor_day(instant)) % 86_400_000 == 0
