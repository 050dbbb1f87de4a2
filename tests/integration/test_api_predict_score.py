"""`/price/predict/score`: means over windows of targets, as they are now, and what was decided about models."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import fmean
from typing import Any, NamedTuple

import pytest

from predictor.queries.trainings import TrainingOutcome, insert_training
from shared.database.connection import Connection
from shared.instant import DAY, MINUTE
from shared.levels import LEVELS
from tests.integration.api_forecasts import HORIZONS, Scribe, writing
from tests.integration.api_server import START, SYMBOL, make_ticks, serving, store, text
from tests.postgres import Database

UNTIL = START + 40 * DAY
PATH = "/price/predict/score"


class Scored(NamedTuple):
    """A score as it is stored."""

    target: datetime
    horizon: int
    error: Decimal
    naive_error: Decimal
    covered: tuple[bool, ...]
    winkler: tuple[float, ...]
    pinball: float
    qlike: float | None
    levels: tuple[int, ...] = LEVELS


def made_up(target: datetime, index: int, horizon: int = 60) -> Scored:
    """A score with values that differ from others'."""
    return Scored(
        target,
        horizon,
        Decimal(7 * index % 31) / 10,
        Decimal(5 * index % 29) / 10,
        tuple(index % (3 * step) > 0 for step, _ in enumerate(LEVELS, 1)),
        tuple(index % (11 + 2 * step) + 0.125 * step for step, _ in enumerate(LEVELS, 1)),
        index % 5 + 0.1,
        None if index % 4 == 0 else index % 7 / 8,
    )


@pytest.fixture
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    """Forty days after the record's first minutes, with nothing scored yet."""
    await store(database.owner_url, make_ticks(10), now=UNTIL + timedelta(seconds=5))
    async with writing(database) as scribe:
        yield scribe


async def write(scribe: Scribe, scores: list[Scored]) -> None:
    """Store scores as the predictor may."""
    await scribe.predictor.executemany(
        """
        INSERT INTO forecast_scores (
            symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
            naive_absolute_error, levels, covered, winkler, pinball, qlike
        )
        VALUES ($1, $2, $3, $4, 50000, 1e-6, $5, $6, $7, $8, $9, $10, $11)
        """,
        [
            (
                SYMBOL,
                score.target - score.horizon * MINUTE,
                score.horizon,
                score.target,
                score.error,
                score.naive_error,
                score.levels,
                score.covered,
                score.winkler,
                score.pinball,
                score.qlike,
            )
            for score in scores
        ],
    )


async def read(database: Database, query: str = "") -> Any:
    """What a process answers that knows nothing yet."""
    async with serving(database.api_url) as client:
        response = await client.get(PATH + query)
    assert response.status_code == 200, response.text
    return response.json()


def assert_means(found: Any, scores: list[Scored]) -> None:
    """The answer's score is the mean of these."""
    assert found["n"] == len(scores)
    assert found["mae"] == pytest.approx(fmean(score.error for score in scores))
    assert found["naive_mae"] == pytest.approx(fmean(score.naive_error for score in scores))
    assert found["relative_mae"] == pytest.approx(found["mae"] / found["naive_mae"])
    for position, level in enumerate(map(str, LEVELS)):
        assert found["coverage"][level] == pytest.approx(fmean(score.covered[position] for score in scores))
        assert found["winkler"][level] == pytest.approx(fmean(score.winkler[position] for score in scores))
    assert found["pinball"] == pytest.approx(fmean(score.pinball for score in scores))
    moved = [score.qlike for score in scores if score.qlike is not None]
    assert found["qlike"] == pytest.approx(fmean(moved))


async def test_windows_hold_the_targets_that_lie_in_them(database: Database, scribe: Scribe) -> None:
    """By horizon, from the newest closed minute back."""
    scores = [
        made_up(UNTIL - age * MINUTE, index, horizon)
        for index, age in enumerate(range(0, 35 * 1_440, 97))
        for horizon in (1, 60)
    ]
    await write(scribe, scores)
    answer = await read(database)
    assert (answer["symbol"], answer["until"]) == (SYMBOL, text(UNTIL))
    assert [each["horizon_minutes"] for each in answer["horizons"]] == list(HORIZONS)
    for each in answer["horizons"]:
        if each["horizon_minutes"] == 5:
            continue
        assert list(each["windows"]) == ["24h", "7d", "30d"]
        for days, window in zip((1, 7, 30), each["windows"].values(), strict=True):
            start = UNTIL - days * DAY
            mine = [s for s in scores if s.horizon == each["horizon_minutes"] and start < s.target <= UNTIL]
            assert len(mine) > 10
            assert_means(window, mine)


async def test_windows_end_sharply(database: Database, scribe: Scribe) -> None:
    """A target at the very beginning of one is not in it, one at its end is."""
    ages = (0, 1_439, 1_440, 7 * 1_440 - 1, 7 * 1_440, 30 * 1_440 - 1, 30 * 1_440)
    await write(scribe, [made_up(UNTIL - age * MINUTE, 1) for age in ages])
    await write(scribe, [made_up(UNTIL + MINUTE, 1)])
    [horizon] = (await read(database, "?horizon=60"))["horizons"]
    assert [window["n"] for window in horizon["windows"].values()] == [2, 4, 6]


async def test_a_day_long_horizon_is_counted_whole(database: Database, scribe: Scribe) -> None:
    """Its forecasts were made a day before the window began."""
    await write(scribe, [made_up(UNTIL - 30 * DAY + MINUTE, 1, 1_440)])
    answer = await read(database)
    assert [each["horizon_minutes"] for each in answer["horizons"]] == [*HORIZONS, 1_440]
    assert answer["horizons"][-1]["windows"]["30d"]["n"] == 1


async def test_levels_of_another_time_are_counted_by_their_name(database: Database, scribe: Scribe) -> None:
    """Wherever a level stands among a forecast's own: those of today, fewer of them, or more."""
    today = made_up(UNTIL, 1)._replace(levels=(50, 80, 95), covered=(False, False, True), winkler=(1.0, 2.0, 3.0))
    fewer = made_up(UNTIL - 2 * DAY, 1)._replace(levels=(80, 95), covered=(True, True), winkler=(4.0, 5.0))
    more = made_up(UNTIL - 3 * DAY, 1)._replace(
        levels=(10, 50, 80, 90, 95), covered=(False, True, True, False, True), winkler=(6.0, 7.0, 8.0, 9.0, 10.0)
    )
    await write(scribe, [today, fewer, more])
    [horizon] = (await read(database, "?horizon=60"))["horizons"]
    week = horizon["windows"]["7d"]
    assert week["n"] == 3
    nothing = dict.fromkeys(map(str, LEVELS))
    assert week["coverage"] == pytest.approx(nothing | {"50": 1 / 2, "80": 2 / 3, "95": 1.0})
    assert week["winkler"] == pytest.approx(nothing | {"50": 4.0, "80": 14 / 3, "95": 6.0})


async def test_without_a_score_there_are_no_means(database: Database, scribe: Scribe) -> None:
    """Nulls, and nothing at all before the first model."""
    answer = await read(database)
    assert [each["horizon_minutes"] for each in answer["horizons"]] == list(HORIZONS)
    nothing = dict.fromkeys(map(str, LEVELS))
    assert answer["horizons"][0]["windows"]["7d"] == {
        "n": 0,
        "mae": None,
        "naive_mae": None,
        "relative_mae": None,
        "coverage": nothing,
        "winkler": nothing,
        "pinball": None,
        "qlike": None,
    }
    await scribe.owner.execute("DELETE FROM models")
    answer = await read(database)
    assert (answer["horizons"], answer["trainings"]) == ([], [])


async def test_a_naive_point_is_exactly_as_good_as_naive(database: Database, scribe: Scribe) -> None:
    """To the last digit; where nothing moved there is no ratio."""
    errors = [Decimal("0.1"), Decimal("0.2"), Decimal("0.3")]
    await write(
        scribe,
        [made_up(UNTIL - i * MINUTE, 1)._replace(error=error, naive_error=error) for i, error in enumerate(errors)],
    )
    still = made_up(UNTIL, 1, 1)._replace(error=Decimal(0), naive_error=Decimal(0))
    await write(scribe, [still])
    by_horizon = {each["horizon_minutes"]: each["windows"]["24h"] for each in (await read(database))["horizons"]}
    assert (by_horizon[60]["relative_mae"], by_horizon[60]["mae"]) == (1, 0.2)
    assert (by_horizon[1]["relative_mae"], by_horizon[1]["mae"]) == (None, 0)


async def test_a_horizon_that_no_model_has_is_not_found(database: Database, scribe: Scribe) -> None:
    """Those that there are, are named."""
    async with serving(database.api_url) as client:
        response = await client.get(f"{PATH}?horizon=2")
    assert response.status_code == 404
    assert response.json()["detail"].endswith("there are: 1, 5, 60.")


async def test_a_new_score_is_seen_at_once(database: Database, scribe: Scribe) -> None:
    """Though the month is summed up no more often than that; and it is a new answer."""
    await write(scribe, [made_up(UNTIL - MINUTE, 1)])
    async with serving(database.api_url) as client:
        first = await client.get(PATH)
        # The newest minute's score may come at any moment.
        assert first.headers["cache-control"] == "public, max-age=0"
        headers = {"If-None-Match": first.headers["etag"]}
        assert (await client.get(PATH, headers=headers)).status_code == 304
        await write(scribe, [made_up(UNTIL, 1)])
        second = await client.get(PATH, headers=headers)
    assert second.status_code == 200
    assert second.json()["horizons"][-1]["windows"]["24h"]["n"] == 2
    assert 1 < int(second.headers["cache-control"].removeprefix("public, max-age=")) <= 55


async def test_a_month_is_summed_up_once_while_nothing_comes(database: Database, scribe: Scribe) -> None:
    """A score of long ago waits for the next minute's sum."""
    await write(scribe, [made_up(UNTIL, 1)])
    async with serving(database.api_url) as client:
        first = await client.get(PATH)
        await write(scribe, [made_up(UNTIL - 3 * DAY, 1)])
        assert (await client.get(PATH)).content == first.content
    assert (await read(database))["horizons"][-1]["windows"]["7d"]["n"] == 2


async def test_the_last_trainings_are_told(database: Database, scribe: Scribe) -> None:
    """The newest first, with what the gate decided, or why there is no model."""
    outcomes = [
        TrainingOutcome("promoted", "It is the first model.", 1),
        TrainingOutcome("failed", "The registry is away."),
    ]
    for day in range(11):
        await insert_training(Connection(scribe.predictor), SYMBOL, START + day * DAY, outcomes[day % 2])
    trainings = (await read(database))["trainings"]
    assert [training["started_at"] for training in trainings] == [text(START + day * DAY) for day in range(10, 0, -1)]
    assert {name: trainings[1][name] for name in ("outcome", "reason", "version")} == {
        "outcome": "failed",
        "reason": "The registry is away.",
        "version": None,
    }
    assert trainings[0]["version"] == 1
