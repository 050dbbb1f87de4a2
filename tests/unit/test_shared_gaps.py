"""Which minutes are missing and why, held against a naive set of minutes."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.gaps import Gap, classify, present_in_hour
from shared.instant import MINUTE
from shared.runs import Run, Runs

BASE = datetime(2024, 3, 5, 7, tzinfo=UTC)

minute_sets = st.sets(st.integers(0, 40), max_size=41)


def runs_of(minutes: Iterable[int]) -> Runs:
    """The set of minutes as runs."""
    return Runs.of_minutes(BASE + minute * MINUTE for minute in minutes)


def minutes_of(runs: Iterable[Run | Gap]) -> list[int]:
    """The minutes of runs, one for each time it is in one."""
    return [(run.start - BASE) // MINUTE + offset for run in runs for offset in range(run.minutes)]


@given(minute_sets, minute_sets)
def test_classify_gives_each_missing_minute_one_cause_and_joins_neighbours(missing: set[int], absent: set[int]) -> None:
    """`source_absent` where the ledger names it, else `not_collected`; the ledger says nothing of what is there."""
    gaps = classify(runs_of(missing), runs_of(absent))
    by_cause = {cause: [gap for gap in gaps if gap.cause == cause] for cause in ("source_absent", "not_collected")}
    assert minutes_of(by_cause["source_absent"]) == sorted(missing & absent)
    assert minutes_of(by_cause["not_collected"]) == sorted(missing - absent)
    assert gaps == sorted(gaps)
    assert not any(
        earlier.end == later.start and earlier.cause == later.cause for earlier, later in itertools.pairwise(gaps)
    )


@given(st.sets(st.integers(0, 59)))
def test_mask_of_an_hour_says_which_minutes_are_there(minutes: set[int]) -> None:
    """Bit m stands for minute m; runs are as long as they can be."""
    runs = list(present_in_hour(BASE, sum(1 << minute for minute in minutes)))
    assert minutes_of(runs) == sorted(minutes)
    assert all(earlier.end < later.start for earlier, later in itertools.pairwise(runs))
