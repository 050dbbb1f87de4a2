"""What `/price/predict` and what lies below it answer with."""

from collections.abc import Iterable
from typing import Final

from api.fields import Field, ListOf, Object, Pair
from api.kinds import BOOLEAN, DECIMAL, FLOAT, INTEGER, MICROSECOND, SECOND, TEXT, Kind, one_of
from shared.levels import LEVELS

_IN_QUOTE: Final = "in the quote currency"
_FROM_0: Final = {"minimum": 0}
_SHARE: Final = {"minimum": 0, "maximum": 1}


def _enumerate(numbers: Iterable[float]) -> str:
    """Return the numbers as a sentence has them: `50, 80 and 95`."""
    *others, last = (f"{number:g}" for number in numbers)
    return f"{', '.join(others)} and {last}"


LEVELS_IN_WORDS: Final = f"{_enumerate(LEVELS)} %"
_QUANTILES = sorted({50.0, *((100 - level) / 2 for level in LEVELS), *((100 + level) / 2 for level in LEVELS)})
QUANTILES_IN_WORDS: Final = f"{_enumerate(_QUANTILES)} %"
_EXAMPLE_BOUNDS: Final = {50: [66990, 67035.5], 80: [66950.12, 67075.4], 95: [66880, 67145.01]}
_EXAMPLE_COVERAGE: Final = {50: 0.503, 80: 0.798, 95: 0.947}
_EXAMPLE_WINKLER: Final = {50: 61.2, 80: 104.9, 95: 187.4}


# `sql` is of the tables with these aliases: forecasts AS forecast, models AS model, forecast_scores AS score.


def _write_level_sql(array: str, table: str, level: int) -> str:
    """Return the SQL of an array's element for a level, which is null where the row does not state that level."""
    return f"{array}[array_position({table}.levels, {level}::smallint)]"


def _make_bound(side: str, level: int) -> Field:
    sql = _write_level_sql(f"{side}_bounds", "forecast", level)
    return Field(side, DECIMAL, f"The {side} end.", sql=sql, column=f"{side}_{level}", is_nullable=True)


def _make_scored_field(name: str, kind: Kind, level: int, description: str, example: object) -> Field:
    sql, column = _write_level_sql(name, "score", level), f"{name}_{level}"
    return Field(str(level), kind, description, example, sql=sql, column=column, is_nullable=True)


INTERVALS: Final = Object(
    "Intervals",
    "Central prediction intervals, [lower, upper], exact; nulls where the forecast does not state that one.",
    tuple(
        Field(
            str(level),
            Pair(_make_bound("lower", level), _make_bound("upper", level)),
            f"Holds the price with {level} % probability.",
            _EXAMPLE_BOUNDS.get(level),
        )
        for level in LEVELS
    ),
)
COVERED: Final = Object(
    "Covered",
    "Whether the price lay in the interval, its ends included; null where the forecast does not state that one.",
    tuple(_make_scored_field("covered", BOOLEAN, level, f"In the {level} % interval.", level > 50) for level in LEVELS),
)
WINKLER: Final = Object(
    "Winkler",
    "The interval score: its width, and 2/α times how far the price lay outside; smaller is better.",
    tuple(
        _make_scored_field(
            "winkler", FLOAT, level, f"Of the {level} % interval, {_IN_QUOTE}.", _EXAMPLE_WINKLER.get(level)
        )
        for level in LEVELS
    ),
)
COVERAGE: Final = Object(
    "Coverage",
    "The share of prices that lay in the interval; null where there is no score.",
    tuple(
        Field(
            str(level),
            FLOAT,
            f"{level / 100:.2f} is meant.",
            _EXAMPLE_COVERAGE.get(level),
            is_nullable=True,
            limits=_SHARE,
        )
        for level in LEVELS
    ),
)
MODEL: Final = Object(
    "Model",
    "The model that made a forecast.",
    (
        Field("name", TEXT, "Its name in the registry.", "minutebook-BTCUSDT"),
        Field("version", INTEGER, "Its version there.", 12, sql="model.version", limits={"minimum": 1}),
        Field("run_id", TEXT, "The run that trained it.", "5f0c1e7a9d2b4c6f8a1b3c5d7e9f0a2b"),
        Field("trained_at", MICROSECOND, "When that was.", "2026-11-22T03:15:21Z"),
        Field("trained_from", MICROSECOND, "The first instant it learned from.", "2025-11-22T03:15:00Z"),
        Field("trained_to", MICROSECOND, "The last, exclusive.", "2026-11-22T03:15:00Z"),
        Field("data_digest", TEXT, "The digest of what it learned from.", "9f86d081884c7d65"),
        Field("feature_version", INTEGER, "The version of its features.", 1),
        Field("decision", TEXT, "Why it serves, as the gate put it.", "It is the first model."),
    ),
)

_HORIZON: Final = Field(
    "horizon_minutes", INTEGER, "How far ahead, in minutes.", 60, limits={"minimum": 1, "maximum": 1440}
)
_MADE_AT: Final = Field("made_at", SECOND, "The close of the last minute that it knows.", "2026-11-22T12:34:00Z")
_TIMES_AND_PRICES: Final = (
    Field("target_time", SECOND, "made_at + horizon.", "2026-11-22T13:34:00Z", sql="forecast.target_time"),
    Field(
        "expires_at", SECOND, "From then on it is not fresh; the next one comes each minute.", "2026-11-22T12:35:30Z"
    ),
    Field("base_price", DECIMAL, "The price at made_at, exact.", 67012.34),
    Field("price", DECIMAL, "The point forecast of the price at target_time.", 67012.34, sql="point"),
)
_IS_NAIVE: Final = Field(
    "is_naive",
    BOOLEAN,
    "Whether the price is the last one. It is so wherever no model's has been better out of sample "
    "(R² > 0, and a Diebold-Mariano statistic over 2).",
    example=True,
    sql="point = base_price",
)
_DISTRIBUTION: Final = (
    Field("intervals", INTERVALS, "Prediction intervals of the price at target_time."),
    Field(
        "volatility",
        FLOAT,
        "The standard deviation of the log return up to target_time.",
        0.00213,
        limits={"exclusiveMinimum": 0},
    ),
    Field("probability_up", FLOAT, "The probability of a price above base_price.", 0.5, limits=_SHARE),
)

NEWEST_FIELDS: Final = (
    _HORIZON,
    _MADE_AT,
    *_TIMES_AND_PRICES,
    _IS_NAIVE,
    *_DISTRIBUTION,
    Field("model", MODEL, "What made it."),
)
PAST_FIELDS: Final = (
    _MADE_AT,
    _HORIZON,
    *_TIMES_AND_PRICES,
    *_DISTRIBUTION,
    Field("model_version", INTEGER, "The version of the model that made it.", 12, limits={"minimum": 1}),
    Field("created_at", MICROSECOND, "When it was written.", "2026-11-22T12:34:01.204511Z"),
    Field(
        "outcome",
        Object(
            "Outcome",
            "What became of a forecast.",
            (
                Field("actual_price", DECIMAL, "The price at target_time, exact.", 67020),
                Field("absolute_error", DECIMAL, "|actual_price - price|, exact.", 7.66),
                Field("naive_absolute_error", DECIMAL, "|actual_price - base_price|, exact.", 7.66),
                Field("covered", COVERED, "Which intervals held the price."),
                Field("winkler", WINKLER, "Interval scores."),
                Field("pinball", FLOAT, f"The pinball loss, {_IN_QUOTE}.", 2.1, limits=_FROM_0),
                Field(
                    "realised_volatility",
                    FLOAT,
                    "The root of the summed squared one-minute log returns up to target_time.",
                    0.0019,
                    sql="sqrt(realised_variance)",
                    limits=_FROM_0,
                ),
                Field("qlike", FLOAT, "QLIKE; null where the price never moved.", 0.02, is_nullable=True),
                Field("scored_at", MICROSECOND, "When it was scored.", "2026-11-22T13:34:01.302184Z"),
                Field("rescored_at", MICROSECOND, "When again, after a correction.", is_nullable=True),
            ),
        ),
        "Null until its target has come and every minute up to it is in the record.",
        is_nullable=True,
    ),
)

_TRACK_RECORD_FIELDS: Final = (
    Field("n", INTEGER, "How many forecasts were scored.", 1440, limits=_FROM_0),
    Field("mae", FLOAT, f"The mean absolute error of the price, {_IN_QUOTE}.", 41.7, is_nullable=True, limits=_FROM_0),
    Field(
        "naive_mae", FLOAT, "The same of the naive forecast, the last price.", 41.7, is_nullable=True, limits=_FROM_0
    ),
    Field("relative_mae", FLOAT, "mae / naive_mae: below 1 beats naive.", 1.0, is_nullable=True, limits=_FROM_0),
    Field("coverage", COVERAGE, "How often the intervals held the price."),
)
TRACK_RECORD: Final = Object(
    "TrackRecord", "How good a horizon's forecasts were, of the targets in a window.", _TRACK_RECORD_FIELDS
)
SCORE: Final = Object(
    "Score",
    "How good a horizon's forecasts were, of the targets in a window, by all scores.",
    (
        *_TRACK_RECORD_FIELDS,
        Field("winkler", WINKLER, "Mean interval scores (Winkler 1972)."),
        Field(
            "pinball",
            FLOAT,
            f"Mean pinball loss of the quantiles {QUANTILES_IN_WORDS}, {_IN_QUOTE}.",
            9.8,
            is_nullable=True,
            limits=_FROM_0,
        ),
        Field(
            "qlike",
            FLOAT,
            "Mean of x - ln x - 1, x the realised variance over the forecast one (Patton 2011); minutes that moved "
            "only.",
            0.41,
            is_nullable=True,
            limits=_FROM_0,
        ),
    ),
)


def _make_windows(name: str, content: Object) -> Object:
    return Object(
        name,
        "By window, up to the newest closed minute.",
        (
            Field("24h", content, "Targets of the last 24 hours."),
            Field("7d", content, "Of the last 7 days."),
            Field("30d", content, "Of the last 30 days."),
        ),
    )


PREDICTION: Final = Object(
    "Predict",
    "The newest forecasts that are fresh.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field(
            "forecasts",
            ListOf(
                Object(
                    "Forecast",
                    "The newest forecast over one horizon.",
                    (
                        *NEWEST_FIELDS,
                        Field(
                            "track_record",
                            _make_windows("TrackRecords", TRACK_RECORD),
                            "How good those before it were.",
                        ),
                    ),
                )
            ),
            "One a horizon, the nearest first.",
            limits={"minItems": 1},
        ),
        Field("notes", ListOf(TEXT), "What to know about them, such as that the model registry is away."),
        Field("age_seconds", FLOAT, "Seconds from the newest made_at to the exchange's now.", 12.3, limits=_FROM_0),
        Field(
            "model_age_seconds",
            FLOAT,
            "Seconds since the model, or the oldest of several, was trained.",
            33540.2,
            limits=_FROM_0,
        ),
    ),
)
PAST_FORECASTS: Final = Object(
    "ForecastHistory",
    "A page of past forecasts.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field("start", MICROSECOND, "The range's first instant; with the newest rows, the first of them."),
        Field("end", MICROSECOND, "The range's end, exclusive."),
        Field("horizon_minutes", INTEGER, "The horizon that was asked for; null for all.", 60, is_nullable=True),
        Field("count", INTEGER, "The number of rows on this page.", 100, limits=_FROM_0),
        Field(
            "data",
            ListOf(Object("PastForecast", "A forecast as it was made, and what became of it.", PAST_FIELDS)),
            "An object a forecast, by made_at and horizon.",
        ),
        Field("next_cursor", TEXT, "For the next page; null at the end.", is_nullable=True),
    ),
)
TRAINING_FIELDS: Final = (
    Field("started_at", MICROSECOND, "When it began.", "2026-11-22T03:15:00Z"),
    Field("ended_at", MICROSECOND, "When it ended.", "2026-11-22T03:15:41Z"),
    Field(
        "outcome",
        one_of("promoted", "kept", "failed"),
        "`promoted`: the new model serves; `kept`: the one before does; `failed`: there is none.",
        "promoted",
    ),
    Field("reason", TEXT, "Why so.", "It is the first model."),
    Field("version", INTEGER, "The new model's version; null where it failed.", 12, is_nullable=True),
)
SCORE_BOARD: Final = Object(
    "ScoreBoard",
    "How good the forecasts have been, and what was decided about models.",
    (
        Field("symbol", TEXT, "The symbol.", "BTCUSDT"),
        Field("until", SECOND, "The windows end here, inclusive.", "2026-11-22T12:34:00Z"),
        Field(
            "horizons",
            ListOf(
                Object(
                    "HorizonScores",
                    "The scores of one horizon.",
                    (_HORIZON, Field("windows", _make_windows("Scores", SCORE), "By window.")),
                )
            ),
            "By horizon, the nearest first.",
        ),
        Field(
            "trainings",
            ListOf(Object("Training", "An attempt to train, and what came of it.", TRAINING_FIELDS)),
            "The last ten, the newest first.",
        ),
    ),
)
