"""The answers about forecasts as OpenAPI documents them; like the others, never built from these."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas import Answer, Number

_IN_QUOTE = "in the quote currency"
Interval = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Intervals(Answer):
    """Central prediction intervals, [lower, upper], exact."""

    p50: Interval = Field(alias="50", description="Holds the price with 50 % probability.", examples=[[66990, 67035.5]])
    p80: Interval = Field(alias="80", description="Holds it with 80 %.", examples=[[66950.12, 67075.4]])
    p95: Interval = Field(alias="95", description="Holds it with 95 %.", examples=[[66880, 67145.01]])


class Coverage(Answer):
    """The share of prices that lay in the interval; null where there is no score."""

    p50: float | None = Field(alias="50", ge=0, le=1, description="0.50 is meant.", examples=[0.503])
    p80: float | None = Field(alias="80", ge=0, le=1, description="0.80 is meant.", examples=[0.798])
    p95: float | None = Field(alias="95", ge=0, le=1, description="0.95 is meant.", examples=[0.947])


class Winkler(Answer):
    """The interval score: its width, and 2/α times how far the price lay outside; smaller is better."""

    p50: float | None = Field(alias="50", description=f"Of the 50 % interval, {_IN_QUOTE}.", examples=[61.2])
    p80: float | None = Field(alias="80", description=f"Of the 80 % interval, {_IN_QUOTE}.", examples=[104.9])
    p95: float | None = Field(alias="95", description=f"Of the 95 % interval, {_IN_QUOTE}.", examples=[187.4])


class Covered(Answer):
    """Whether the price lay in the interval, its ends included."""

    p50: bool = Field(alias="50", description="In the 50 % interval.", examples=[False])
    p80: bool = Field(alias="80", description="In the 80 % interval.", examples=[True])
    p95: bool = Field(alias="95", description="In the 95 % interval.", examples=[True])


class Model(Answer):
    """The model that made a forecast."""

    name: str = Field(description="Its name in the registry.", examples=["minutebook-BTCUSDT"])
    version: int = Field(ge=1, description="Its version there.", examples=[12])
    run_id: str = Field(description="The run that trained it.", examples=["5f0c1e7a9d2b4c6f8a1b3c5d7e9f0a2b"])
    trained_at: datetime = Field(description="When that was.", examples=["2026-11-22T03:15:21Z"])
    trained_from: datetime = Field(description="The first instant it learned from.", examples=["2025-11-22T03:15:00Z"])
    trained_to: datetime = Field(description="The last, exclusive.", examples=["2026-11-22T03:15:00Z"])
    data_digest: str = Field(description="The digest of what it learned from.", examples=["9f86d081884c7d65"])
    feature_version: int = Field(description="The version of its features.", examples=[1])
    decision: str = Field(
        description="Why it serves, as the gate put it.",
        examples=["It is the first model."],
    )


class TrackRecord(Answer):
    """How good a horizon's forecasts were, of the targets in a window."""

    n: int = Field(ge=0, description="How many forecasts were scored.", examples=[1440])
    mae: float | None = Field(ge=0, description=f"The mean absolute error of the price, {_IN_QUOTE}.", examples=[41.7])
    naive_mae: float | None = Field(
        ge=0, description="The same of the naive forecast, the last price.", examples=[41.7]
    )
    relative_mae: float | None = Field(ge=0, description="mae / naive_mae: below 1 beats naive.", examples=[1.0])
    coverage: Coverage = Field(description="How often the intervals held the price.")


class Score(TrackRecord):
    """How good a horizon's forecasts were, of the targets in a window, by all scores."""

    winkler: Winkler = Field(description="Mean interval scores (Winkler 1972).")
    pinball: float | None = Field(
        ge=0,
        description="Mean pinball loss of the quantiles 2.5, 10, 25, 50, 75, 90 and 97.5 %, " + _IN_QUOTE + ".",
        examples=[9.8],
    )
    qlike: float | None = Field(
        ge=0,
        description="Mean of x - ln x - 1, x the realised variance over the forecast one (Patton 2011); minutes "
        "that moved only.",
        examples=[0.41],
    )


class TrackRecords(Answer):
    """By window, up to the newest closed minute."""

    day: TrackRecord = Field(alias="24h", description="Targets of the last 24 hours.")
    week: TrackRecord = Field(alias="7d", description="Of the last 7 days.")
    month: TrackRecord = Field(alias="30d", description="Of the last 30 days.")


class Scores(Answer):
    """By window, up to the newest closed minute."""

    day: Score = Field(alias="24h", description="Targets of the last 24 hours.")
    week: Score = Field(alias="7d", description="Of the last 7 days.")
    month: Score = Field(alias="30d", description="Of the last 30 days.")


class ForecastValues(Answer):
    """The distribution of the price at one time to come."""

    horizon_minutes: int = Field(ge=1, le=1440, description="How far ahead, in minutes.", examples=[60])
    made_at: datetime = Field(
        description="The close of the last minute that it knows.", examples=["2026-11-22T12:34:00Z"]
    )
    target_time: datetime = Field(description="made_at + horizon.", examples=["2026-11-22T13:34:00Z"])
    expires_at: datetime = Field(
        description="From then on it is not fresh; the next one comes each minute.", examples=["2026-11-22T12:35:30Z"]
    )
    base_price: Number = Field(description="The price at made_at, exact.", examples=[67012.34])
    price: Number = Field(description="The point forecast of the price at target_time.", examples=[67012.34])
    intervals: Intervals = Field(description="Prediction intervals of the price at target_time.")
    volatility: float = Field(
        gt=0, description="The standard deviation of the log return up to target_time.", examples=[0.00213]
    )
    probability_up: float = Field(
        ge=0, le=1, description="The probability of a price above base_price.", examples=[0.5]
    )


class Forecast(ForecastValues):
    """The newest forecast over one horizon."""

    is_naive: bool = Field(
        description="Whether the price is the last one. It is so wherever no model's has been better out of sample "
        "(R² > 0, and a Diebold-Mariano statistic over 2).",
        examples=[True],
    )
    model: Model = Field(description="What made it.")
    track_record: TrackRecords = Field(description="How good those before it were.")


class Predict(Answer):
    """The newest forecasts that are fresh."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    forecasts: list[Forecast] = Field(min_length=1, description="One a horizon, the nearest first.")
    notes: list[str] = Field(description="What to know about them, such as that the model registry is away.")
    age_seconds: float = Field(
        ge=0, description="Seconds from the newest made_at to the exchange's now.", examples=[12.3]
    )
    model_age_seconds: float = Field(
        ge=0, description="Seconds since the model, or the oldest of several, was trained.", examples=[33540.2]
    )


class Outcome(Answer):
    """What became of a forecast."""

    actual_price: Number = Field(description="The price at target_time, exact.", examples=[67020])
    absolute_error: Number = Field(description="|actual_price - price|, exact.", examples=[7.66])
    naive_absolute_error: Number = Field(description="|actual_price - base_price|, exact.", examples=[7.66])
    covered: Covered = Field(description="Which intervals held the price.")
    winkler: Winkler = Field(description="Interval scores.")
    pinball: float = Field(ge=0, description=f"The pinball loss, {_IN_QUOTE}.", examples=[2.1])
    realised_volatility: float = Field(
        ge=0,
        description="The root of the summed squared one-minute log returns up to target_time.",
        examples=[0.0019],
    )
    qlike: float | None = Field(description="QLIKE; null where the price never moved.", examples=[0.02])
    scored_at: datetime = Field(description="When it was scored.", examples=["2026-11-22T13:34:01.302184Z"])
    rescored_at: datetime | None = Field(description="When again, after a correction.", examples=[None])


class PastForecast(ForecastValues):
    """A forecast as it was made, and what became of it."""

    model_version: int = Field(ge=1, description="The version of the model that made it.", examples=[12])
    created_at: datetime = Field(description="When it was written.", examples=["2026-11-22T12:34:01.204511Z"])
    outcome: Outcome | None = Field(
        description="Null until its target has come and every minute up to it is in the record."
    )


class ForecastHistory(Answer):
    """A page of past forecasts."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    start: datetime = Field(description="The range's first instant; with the newest rows, the first of them.")
    end: datetime = Field(description="The range's end, exclusive.")
    horizon_minutes: int | None = Field(description="The horizon that was asked for; null for all.", examples=[60])
    count: int = Field(ge=0, description="The number of rows on this page.", examples=[100])
    data: list[PastForecast] = Field(description="An object a forecast, by made_at and horizon.")
    next_cursor: str | None = Field(description="For the next page; null at the end.", examples=[None])


class HorizonScores(Answer):
    """The scores of one horizon."""

    horizon_minutes: int = Field(ge=1, le=1440, description="How far ahead, in minutes.", examples=[60])
    windows: Scores = Field(description="By window.")


class Training(Answer):
    """An attempt to train, and what came of it."""

    started_at: datetime = Field(description="When it began.", examples=["2026-11-22T03:15:00Z"])
    ended_at: datetime = Field(description="When it ended.", examples=["2026-11-22T03:15:41Z"])
    outcome: Literal["promoted", "kept", "failed"] = Field(
        description="`promoted`: the new model serves; `kept`: the one before does; `failed`: there is none.",
        examples=["promoted"],
    )
    reason: str = Field(description="Why so.", examples=["It is the first model."])
    version: int | None = Field(description="The new model's version; null where it failed.", examples=[12])


class ScoreBoard(Answer):
    """How good the forecasts have been, and what was decided about models."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    until: datetime = Field(description="The windows end here, inclusive.", examples=["2026-11-22T12:34:00Z"])
    horizons: list[HorizonScores] = Field(description="By horizon, the nearest first.")
    trainings: list[Training] = Field(description="The last ten, the newest first.")
