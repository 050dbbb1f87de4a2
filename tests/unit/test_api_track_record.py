"""Sums of scores: parts add up to the whole, and exact sums stay exact."""

from dataclasses import astuple
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from api.track_record import Sums, TrackRecord

errors = st.decimals(0, 1_000, places=2)
# Halves, so that float sums are exact in whatever order.
halves = st.integers(0, 1_000).map(lambda number: number / 2)
counts = st.integers(0, 1_000)
sums = st.builds(Sums, st.integers(1, 1_000), errors, errors, *[counts] * 3, *[halves] * 5, counts)


@given(st.lists(sums, min_size=1, max_size=5))
def test_parts_add_up(parts: list[Sums]) -> None:
    """Column by column, in whatever order."""
    total = sum(parts, Sums())
    assert astuple(total) == tuple(map(sum, zip(*map(astuple, parts), strict=True)))
    assert sum(reversed(parts), Sums()) == total


@given(sums)
def test_a_naive_point_is_as_good_as_naive(part: Sums) -> None:
    """Exactly, for its ratio is of exact sums."""
    same = Sums(*(part.n, part.absolute_error, part.absolute_error, *astuple(part)[3:]))
    score = same.score()
    assert score["relative_mae"] == (1 if part.absolute_error else None)
    assert score["mae"] == score["naive_mae"] == float(part.absolute_error / part.n)


def test_nothing_has_no_means() -> None:
    """No number is invented."""
    score = Sums().score()
    assert score.pop("n") == 0
    assert score == {
        "mae": None,
        "naive_mae": None,
        "relative_mae": None,
        "coverage": {"50": None, "80": None, "95": None},
        "winkler": {"50": None, "80": None, "95": None},
        "pinball": None,
        "qlike": None,
    }


def test_a_window_without_a_score_is_empty() -> None:
    """Beside one that has some."""
    until = datetime(2024, 3, 1, tzinfo=UTC)
    record = TrackRecord(until, None, {(60, "30d"): Sums(n=2, absolute_error=Decimal(3))})
    assert (record.horizons, record.is_complete) == ([60], False)
    assert [score["n"] for score in record.scores(60).values()] == [0, 0, 2]
    assert record.scores(60)["30d"]["mae"] == 1.5
