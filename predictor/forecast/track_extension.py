"""Extends a track by what a model forecasts, in trainings, walks and the service alike."""

from typing import Final

from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import WINDOW_DAYS
from predictor.forecast.model import DistributionModel
from predictor.forecast.rows import find_rows_between
from predictor.forecast.track import Track
from shared.instant import DAY_MS, MINUTE_MS

TRACK_MS: Final = (WINDOW_DAYS + 3) * DAY_MS
"""How much of a track is kept: the conformal window, and some days so that it is whole."""


def extend_track(minutes: Minutes, model: DistributionModel, track: Track, end_ms: int, step: int) -> Track:
    """Return the track with what the model forecasts at each `step` minutes after its end, up to `end_ms`.

    The model has learned from none of these minutes.
    """
    start_ms = max(model.trained_to_ms_, int(track.open_time[-1]) + MINUTE_MS if len(track) else 0)
    rows = find_rows_between(minutes, start_ms, end_ms, step)
    return track.extended(model.forecasts(minutes, rows)) if len(rows) else track
