"""Sets of minutes, held against Python's own sets."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.instant import MINUTE
from shared.runs import Run, Runs

BASE = datetime(2024, 3, 5, 7, tzinfo=UTC)

minute_sets = st.sets(st.integers(0, 40), max_size=41)
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(-3, 12)), max_size=12)


def at(minute: int) -> datetime:
    """The minute of that number."""
    return BASE + minute * MINUTE


def runs_of(minutes: Iterable[int]) -> Runs:
    """The set of minutes as runs."""
    return Runs.of_minutes(map(at, minutes))


def minutes_of(runs: Runs) -> list[int]:
    """The minutes of a set, once for each run that one is in."""
    return [(run.start - BASE) // MINUTE + offset for run in runs for offset in range(run.minutes)]


@given(minute_sets, minute_sets)
def test_operators_are_those_of_sets(one: set[int], other: set[int]) -> None:
    """Each minute once, in order."""
    ours, theirs = runs_of(one), runs_of(other)
    assert minutes_of(ours - theirs) == sorted(one - other)
    assert minutes_of(ours & theirs) == sorted(one & other)
    assert minutes_of(ours | theirs) == sorted(one | other)
    assert (minutes_of(ours), minutes_of(theirs)) == (sorted(one), sorted(other))


@given(minute_sets, minute_sets)
def test_results_are_as_sound_as_what_is_made_anew(one: set[int], other: set[int]) -> None:
    """Sorted, joined, without an empty run, so that equal sets are equal, with one hash."""
    for found, minutes in (
        (runs_of(one) - runs_of(other), one - other),
        (runs_of(one) & runs_of(other), one & other),
        (runs_of(one) | runs_of(other), one | other),
    ):
        assert found == runs_of(minutes)
        assert hash(found) == hash(runs_of(minutes))
        assert all(run.start < run.end for run in found)
        assert all(earlier.end < later.start for earlier, later in itertools.pairwise(found))


@given(spans)
def test_runs_may_come_in_any_order_touch_overlap_and_be_empty(pairs: list[tuple[int, int]]) -> None:
    """The set is of their minutes."""
    minutes = {first + offset for first, length in pairs for offset in range(length)}
    found = Runs(Run(at(first), at(first + length)) for first, length in pairs)
    assert minutes_of(found) == sorted(minutes)
    assert found.minutes == len(minutes)
    assert bool(found) == bool(minutes)
    assert found == runs_of(minutes)


def test_a_set_is_its_runs_and_says_them() -> None:
    """For who iterates, counts, compares or debugs."""
    found = Runs([Run(at(5), at(6)), Run(at(0), at(2)), Run(at(2), at(3))])
    assert list(found) == [Run(at(0), at(3)), Run(at(5), at(6))]
    assert (len(found), found.minutes) == (2, 4)
    assert repr(found) == "<Runs: 2024-03-05 07:00 to 2024-03-05 07:03, 2024-03-05 07:05 to 2024-03-05 07:06>"
    assert found != Runs()
    assert found != list(found)
    assert repr(Runs()) == "<Runs: none>"
