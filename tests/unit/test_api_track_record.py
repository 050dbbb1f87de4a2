"""Sums of scores: parts add up to the whole, and exact sums stay exact."""

from dataclasses import astuple, replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from api.track_record import LevelSums, Sums, TrackRecord
from shared.levels import LEVELS

errors = st.decimals(0, 1_000, places=2)
# Halves, so that float sums are exact in whatever order.
halves = st.integers(0, 1_000).map(lambda number: number / 2)
counts = st.integers(0, 1_000)
level_sums = st.builds(LevelSums, st.integers(1, 1_000), counts, halves)
NO_MEANS = dict.fromkeys(map(str, LEVELS))
by_level = st.dictionaries(st.sampled_from([*LEVELS, 90]), level_sums)
sums = st.builds(Sums, st.integers(1, 1_000), errors, errors, halves, halves, counts, by_level)


def scalars(part: Sums) -> tuple[Decimal | float, ...]:
    """What is no sum of a level's."""
    return astuple(part)[:-1]


@given(st.lists(sums, min_size=1, max_size=5))
def test_parts_add_up(parts: list[Sums]) -> None:
    """Column by column, in whatever order."""
    total = sum(parts, Sums())
    assert scalars(total) == tuple(map(sum, zip(*map(scalars, parts), strict=True)))
    for level in {level for part in parts for level in part.by_level}:
        of_level = [astuple(part.by_level[level]) for part in parts if level in part.by_level]
        assert astuple(total.by_level[level]) == tuple(map(sum, zip(*of_level, strict=True)))
    assert sum(reversed(parts), Sums()) == total


@given(sums)
def test_a_naive_point_is_as_good_as_naive(part: Sums) -> None:
    """Exactly, for its ratio is of exact sums."""
    same = replace(part, naive_absolute_error=part.absolute_error)
    score = same.score()
    assert score["relative_mae"] == (1 if part.absolute_error else None)
    assert score["mae"] == score["naive_mae"] == float(part.absolute_error / part.n)


def test_a_level_that_few_forecasts_state_has_their_mean() -> None:
    """Rather than one over forecasts that were made before there was such a level."""
    both = Sums(n=3, by_level={80: LevelSums(3, 2, 6.0)}) + Sums(
        n=1, by_level={80: LevelSums(1, 1, 2.0), 95: LevelSums(1, 1, 5.0)}
    )
    score = both.score()
    assert score["coverage"] == NO_MEANS | {"80": 0.75, "95": 1.0}
    assert score["winkler"] == NO_MEANS | {"80": 2.0, "95": 5.0}


def test_nothing_has_no_means() -> None:
    """No number is invented."""
    score = Sums().score()
    assert score.pop("n") == 0
    assert score == {
        "mae": None,
        "naive_mae": None,
        "relative_mae": None,
        "coverage": NO_MEANS,
        "winkler": NO_MEANS,
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
