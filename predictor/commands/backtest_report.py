"""What a backtest hands over: the forecasts as CSV, and a table of scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from predictor.forecast.distribution import Distributions
from predictor.forecast.evaluation import Evaluation, HorizonScores
from predictor.forecast.walk_forward import WalkForward
from shared.errors import UsageError
from shared.instant import MINUTE_MS
from shared.levels import LEVELS
from shared.rolling import Integers

_HEADER = (
    f"{'horizon':>7} {'n':>8} {'MAE':>10} {'naive':>10} {'ratio':>7}  "
    + " ".join(f"{f'{level}%':>6}" for level in LEVELS)
    + f" {'QLIKE':>7}  "
    f"{'/ log-HAR':>8}: W80   W95  QLIKE {'/ constant':>8}: W80   W95  QLIKE"
)


def write_forecasts(path: Path, symbol: str, walk: WalkForward, rows: Integers, made: Distributions) -> int:
    """Write a row a forecast, by time and horizon, and return how many; what could not be made is left out."""
    count, horizons = made.point.shape
    made_at = np.repeat(walk.minutes.open_time[rows] + MINUTE_MS, horizons)
    horizon = np.tile(np.asarray(made.horizons, dtype=np.int64), count)
    kept = np.flatnonzero(np.isfinite(made.lower[0].ravel()))
    began = np.array([start for start, _ in walk.champions])
    names = np.array([f"minutebook-{symbol.lower()}/{number}" for _, number in walk.champions])
    champion = names[np.searchsorted(began, made_at[kept], side="right") - 1]
    base = np.repeat(walk.minutes.bars.close[rows], horizons)
    columns: dict[str, object] = {
        "symbol": np.full(len(kept), symbol),
        "made_at": _to_texts(made_at[kept]),
        "horizon_minutes": horizon[kept],
        "target_time": _to_texts((made_at + horizon * MINUTE_MS)[kept]),
        "base_price": base[kept],
        "point": made.point.ravel()[kept],
    }
    for position, level in enumerate(LEVELS):
        columns[f"lower_{level}"] = made.lower[position].ravel()[kept]
        columns[f"upper_{level}"] = made.upper[position].ravel()[kept]
    columns |= {"volatility": np.sqrt(made.variances).ravel()[kept], "model": champion}
    try:
        csv.write_csv(pa.table(columns), path, csv.WriteOptions(quoting_style="none"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return len(kept)


def format_summary(evaluation: Evaluation) -> str:
    """Return the table of scores by horizon, with ratios to the reference and to constant width."""
    lines = [_HEADER, "-" * len(_HEADER)]
    lines += [_format_line(score) for score in evaluation.scores]
    names = ("winkler80", "winkler95", "qlike")
    means = [
        np.mean([getattr(score, f"{prefix}{name}_ratio") for score in evaluation.scores])
        for prefix in ("", "constant_")
        for name in names
    ]
    lines.append(
        f"{'mean':>7}" + " " * (len(_HEADER) - 7 - 50) + _format_ratios(means[:3]) + " " + _format_ratios(means[3:])
    )
    lines += [
        "",
        "MAE is of prices, and of naive (the last price) beside it. W80, W95: interval scores, QLIKE: of variance,",
        "as ratios; below 1 is better. log-HAR: a naive point with a daily refitted log-HAR and split conformal",
        "intervals; constant: intervals as wide as the last 30 days' returns. Over the same forecasts.",
    ]
    return "\n".join(lines)


def _format_line(score: HorizonScores) -> str:
    covered = " ".join(f"{100 * score.coverage[level]:6.2f}" for level in LEVELS)
    ours = _format_ratios([score.winkler80_ratio, score.winkler95_ratio, score.qlike_ratio])
    wide = _format_ratios([score.constant_winkler80_ratio, score.constant_winkler95_ratio, score.constant_qlike_ratio])
    return (
        f"{score.horizon_minutes:>7} {score.n:>8} {score.mae:>10.4f} {score.naive_mae:>10.4f} "
        f"{score.relative_mae:>7.4f}  {covered} {score.qlike:>7.4f}  {ours} {wide}"
    )


def _format_ratios(values: Sequence[float]) -> str:
    return "     " + " ".join(f"{value:6.4f}" for value in values)


def _to_texts(milliseconds: Integers) -> list[str]:
    return [f"{text}Z" for text in np.datetime_as_string(milliseconds.astype("datetime64[ms]"), unit="s")]
