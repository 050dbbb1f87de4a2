"""How forecasts did, by horizon, beside the reference's over the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from predictor.forecast.distribution import Distributions, distribute
from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import Calibration
from predictor.forecast.reference import Band, forecast_constant_width, forecast_log_har
from predictor.forecast.scores import compute_pinball, compute_qlike, compute_winkler, is_covered
from predictor.forecast.track import Track
from shared.instant import DAY_MS, MINUTE_MS
from shared.levels import JUDGED_LEVELS, LEVELS
from shared.rolling import Floats, Integers

# What of a track is needed before its forecasts' intervals stand on scores.
_WARM_UP_MS = 7 * DAY_MS
_STEP = 5


@dataclass(frozen=True)
class Outcomes:
    """One horizon's forecasts with what came of them; arrays by forecast, bounds of shape (levels, forecasts)."""

    made_at_ms: Integers
    base_price: Floats
    point: Floats
    lower: Floats
    upper: Floats
    volatility: Floats
    actual_price: Floats
    realised_variance: Floats


@dataclass(frozen=True)
class HorizonScores:
    """One horizon's scores; prices' are in quote currency, ratios are to the reference over the same forecasts.

    `relative_mae` and `r_squared`, of changes, are against naive: the last price.
    """

    horizon_minutes: int
    n: int
    mae: float
    naive_mae: float
    relative_mae: float
    r_squared: float
    coverage: Mapping[int, float]
    winkler: Mapping[int, float]
    pinball: float
    qlike: float
    winkler80_ratio: float
    winkler95_ratio: float
    qlike_ratio: float
    constant_winkler80_ratio: float
    constant_winkler95_ratio: float
    constant_qlike_ratio: float


@dataclass(frozen=True)
class Evaluation:
    """Scores by horizon, and the outcomes that they sum up."""

    scores: tuple[HorizonScores, ...]
    outcomes: Mapping[int, Outcomes]

    def metrics(self) -> dict[str, float]:
        """Every finite score under a name such as `coverage_80.h60`."""
        flat: dict[str, float] = {}
        for score in self.scores:
            values = {
                name: getattr(score, name)
                for name in HorizonScores.__dataclass_fields__
                if name not in {"horizon_minutes", "coverage", "winkler"}
            }
            values |= {f"coverage_{level}": share for level, share in score.coverage.items()}
            values |= {f"winkler_{level}": value for level, value in score.winkler.items()}
            flat |= {f"{name}.h{score.horizon_minutes}": float(value) for name, value in values.items()}
        return {name: value for name, value in flat.items() if np.isfinite(value)}


def evaluate_track(minutes: Minutes, track: Track, horizons: Sequence[int]) -> Evaluation:
    """Score what a track forecast, with the intervals that it would have had, every five minutes."""
    late = track.since(int(track.open_time[0]) + min(_WARM_UP_MS, _half_length(track))) if len(track) else track
    on_grid = (late.open_time // MINUTE_MS + 1) % _STEP == 0
    known = late.at(np.flatnonzero(on_grid))
    rows = ((known.open_time - int(minutes.open_time[0])) // MINUTE_MS).astype(np.int64)
    calibration = Calibration(minutes, track, horizons)
    scales = calibration.scales(known.open_time)
    return score_forecasts(minutes, rows, distribute(minutes, rows, known, calibration, scales))


def score_forecasts(minutes: Minutes, rows: Integers, made: Distributions) -> Evaluation:
    """Score forecasts made at `rows`, where their targets have come whole; beside the reference and constant width."""
    scores, outcomes = [], {}
    for position, horizon in enumerate(made.horizons):
        actual = minutes.log_return(horizon)[rows]
        scored = np.flatnonzero(np.isfinite(actual) & np.isfinite(made.variances[:, position]))
        at = rows[scored]
        base = minutes.bars.close[at]
        outcome = Outcomes(
            made_at_ms=minutes.open_time[at] + MINUTE_MS,
            base_price=base,
            point=made.point[scored, position],
            lower=made.lower[:, scored, position],
            upper=made.upper[:, scored, position],
            volatility=np.sqrt(made.variances[scored, position]),
            actual_price=base * np.exp(actual[scored]),
            realised_variance=minutes.realised_variance(horizon)[at],
        )
        references = (forecast_log_har, forecast_constant_width)
        bands = [reference(minutes, rows, horizon) for reference in references] if len(rows) else []
        scores.append(_sum_up(horizon, outcome, [_pick_scored(band, scored) for band in bands]))
        outcomes[horizon] = outcome
    return Evaluation(tuple(scores), outcomes)


def _sum_up(horizon: int, outcome: Outcomes, bands: Sequence[Band]) -> HorizonScores:
    actual, base = outcome.actual_price, outcome.base_price
    mae, naive = _mean(np.abs(actual - outcome.point)), _mean(np.abs(actual - base))
    widths = {
        level: compute_winkler(actual, outcome.lower[position], outcome.upper[position], level)
        for position, level in enumerate(LEVELS)
    }
    loss = compute_qlike(outcome.realised_variance, outcome.volatility**2)
    ratios = []
    for band in bands:
        known = np.isfinite(band.variance) & np.isfinite(band.reach).all(axis=0)
        part = [
            _ratio(
                widths[level][known],
                compute_winkler(
                    actual[known],
                    base[known] * np.exp(-band.reach[position][known]),
                    base[known] * np.exp(band.reach[position][known]),
                    level,
                ),
            )
            for position, level in enumerate(LEVELS)
            if level in JUDGED_LEVELS
        ]
        reference_loss = compute_qlike(outcome.realised_variance[known], band.variance[known])
        ratios.append([*part, _ratio(loss[known], reference_loss)])
    ours, constant = ratios or [[np.nan] * 3] * 2
    return HorizonScores(
        horizon_minutes=horizon,
        n=len(actual),
        mae=mae,
        naive_mae=naive,
        relative_mae=mae / naive if naive else 1.0,
        r_squared=1.0 - _ratio((actual - outcome.point) ** 2, (actual - base) ** 2) if naive else 0.0,
        coverage={
            level: _mean(is_covered(actual, outcome.lower[position], outcome.upper[position]).astype(np.float64))
            for position, level in enumerate(LEVELS)
        },
        winkler={level: _mean(values) for level, values in widths.items()},
        pinball=_mean(compute_pinball(actual, outcome.point, outcome.lower, outcome.upper)),
        qlike=_mean(loss),
        winkler80_ratio=ours[0],
        winkler95_ratio=ours[1],
        qlike_ratio=ours[2],
        constant_winkler80_ratio=constant[0],
        constant_winkler95_ratio=constant[1],
        constant_qlike_ratio=constant[2],
    )


def _pick_scored(band: Band, scored: Integers) -> Band:
    return Band(band.variance[scored], band.reach[:, scored])


def _half_length(track: Track) -> int:
    return (int(track.open_time[-1]) - int(track.open_time[0])) // 2


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _ratio(ours: Floats, theirs: Floats) -> float:
    both = np.isfinite(ours) & np.isfinite(theirs)
    return float(ours[both].mean() / theirs[both].mean()) if both.any() else float("nan")
