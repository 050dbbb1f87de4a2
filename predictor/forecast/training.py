"""Trains a challenger, compares it with the champion, and says which of them is to serve and why.

A training at time T learns from up to a year that ends some days before T; on those last days, which neither the
challenger nor the champion has seen, the gate compares the two. What the champions forecast all along, unseen, is the
track that intervals are calibrated on. Without a champion the weeks before T are gone through first, a training a
week, so that the first model has a track to begin with.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from predictor.forecast.champion import Champion
from predictor.forecast.evaluation import Evaluation, evaluate_track
from predictor.forecast.gate import Decision, decide
from predictor.forecast.inputs import COLUMNS, INPUTS, MEMORY_MINUTES, Minutes
from predictor.forecast.intervals import WINDOW_DAYS, Calibration
from predictor.forecast.model import DistributionModel
from predictor.forecast.rows import find_rows_between
from predictor.forecast.track import make_empty_track
from predictor.forecast.track_extension import TRACK_MS, extend_track
from shared.bars import Bars
from shared.errors import TooLittleHistoryError
from shared.feature_table import FEATURE_VERSION
from shared.instant import DAY_MS, MINUTE_MS, from_milliseconds
from shared.rolling import Floats

HISTORY_MS_MAX = 365 * DAY_MS
_HOLDOUT_MS_MAX = 3 * DAY_MS
_HOLDOUT_SHARE = 0.15
_HISTORY_MS_MIN = 3 * DAY_MS
_BOOTSTRAP_STEP_MS = 7 * DAY_MS
_EXAMPLES = 5


@dataclass(frozen=True)
class Training:
    """One training: the challenger, how it did, and the gate's decision."""

    challenger: Champion
    evaluation: Evaluation
    is_better: bool
    reason: str
    trained_from: datetime
    trained_to: datetime
    data_digest: str
    feature_version: int
    parameters: Mapping[str, str | int | float]
    example: Floats
    """The model's inputs at a few minutes, as `predict` takes them: to show, and to try a stored model on."""


def train(bars: Bars, horizons: Sequence[int], champion: Champion | None) -> Training:
    """Train on one-minute bars up to the close of the last one; raises TooLittleHistoryError.

    The challenger carries the track with it whether or not it is better: what was served until now.
    """
    minutes = Minutes.of(bars)
    if not len(minutes):
        raise TooLittleHistoryError("There is no minute to learn from; collect or backfill some days first.")
    end_ms = int(minutes.open_time[-1]) + MINUTE_MS
    before = champion if champion is not None and champion.model.is_of(horizons) else None
    challenger, decision = retrain(minutes, end_ms, horizons, before)
    model, track = challenger.model, challenger.track
    # Coverage by hour is counted on the track, which is what was served, whichever model serves next.
    hours = Calibration(minutes, track, model.horizons_).count_hours(before.hours if before else None, end_ms)
    used = bars.part(*np.searchsorted(bars.open_time, [model.trained_from_ms_, model.trained_to_ms_]).tolist())
    return Training(
        challenger=replace(challenger, hours=hours),
        evaluation=evaluate_track(minutes, track, model.horizons_),
        is_better=decision.is_better,
        reason=f"{decision.reason} {model.point_.sentence}" if decision.is_better else decision.reason,
        trained_from=from_milliseconds(model.trained_from_ms_),
        trained_to=from_milliseconds(model.trained_to_ms_),
        data_digest=compute_digest(used),
        feature_version=FEATURE_VERSION,
        parameters={
            "horizons": ",".join(map(str, model.horizons_)),
            "columns": len(model.columns_),
            "columns_absent": ",".join(sorted(set(INPUTS) - set(model.columns_))) or "none",
            "minutes": len(used),
            "trees": int(bool(model.trees_)),
            "trees_trained_to": from_milliseconds(model.trees_trained_to_ms_).isoformat(),
            "point": model.point_.sentence,
            "calibration_days": WINDOW_DAYS,
            "track_minutes": len(track),
        },
        example=minutes.inputs(np.flatnonzero(minutes.is_there)[-_EXAMPLES:], COLUMNS),
    )


def retrain(
    minutes: Minutes, end_ms: int, horizons: Sequence[int], champion: Champion | None, step: int = 1
) -> tuple[Champion, Decision]:
    """Train a challenger at `end_ms` and compare it with the champion; the track is kept every `step` minutes."""
    if champion is None:
        for time_ms in _times_before(_find_beginning(minutes, end_ms), end_ms):
            champion = _train_challenger(minutes, time_ms, horizons, champion, step)
        first = _train_challenger(minutes, end_ms, horizons, champion, step)
        return first, Decision(is_better=True, reason="It is the first model.")
    challenger = _train_challenger(minutes, end_ms, horizons, champion, step)
    rows = find_rows_between(minutes, challenger.model.trained_to_ms_, end_ms, 5)
    return challenger, decide(minutes, rows, challenger, champion)


def compute_digest(bars: Bars) -> str:
    """SHA-256 of the bars' times and values: two trainings with one digest saw the same data."""
    summary = hashlib.sha256()
    for values in (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.quote_volume):
        summary.update(np.ascontiguousarray(values).tobytes())
    return summary.hexdigest()


def _train_challenger(
    minutes: Minutes, end_ms: int, horizons: Sequence[int], champion: Champion | None, step: int
) -> Champion:
    begin_ms = max(_find_beginning(minutes, end_ms), end_ms - HISTORY_MS_MAX)
    holdout_ms = min(_HOLDOUT_MS_MAX, int(_HOLDOUT_SHARE * (end_ms - begin_ms)))
    cut_ms = (end_ms - holdout_ms) // MINUTE_MS * MINUTE_MS
    before = champion.model if champion is not None else None
    model = DistributionModel(horizons).fit(minutes, begin_ms, cut_ms, before)
    track = champion.track if champion is not None else make_empty_track(model.horizons_)
    track = extend_track(minutes, before or model, track, end_ms, step)
    return Champion(model, track.since(end_ms - TRACK_MS))


def _find_beginning(minutes: Minutes, end_ms: int) -> int:
    """Where there is something to learn from; raises TooLittleHistoryError."""
    begin_ms = int(minutes.open_time[0])
    if end_ms - begin_ms < _HISTORY_MS_MIN + MEMORY_MINUTES * MINUTE_MS:
        days = (end_ms - begin_ms) / DAY_MS
        wanted = (_HISTORY_MS_MIN + MEMORY_MINUTES * MINUTE_MS) / DAY_MS
        raise TooLittleHistoryError(f"The record has {days:.1f} days, and a model needs at least {wanted:.0f}.")
    return begin_ms


def _times_before(begin_ms: int, end_ms: int) -> list[int]:
    """When trainings would have been in the weeks that the first track covers, oldest first."""
    least = begin_ms + _HISTORY_MS_MIN + MEMORY_MINUTES * MINUTE_MS
    weeks = range(end_ms - _BOOTSTRAP_STEP_MS, end_ms - TRACK_MS - 1, -_BOOTSTRAP_STEP_MS)
    times = [time_ms for time_ms in weeks if time_ms >= least]
    return times[::-1]
