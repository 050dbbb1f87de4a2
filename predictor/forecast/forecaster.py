"""A champion at work: forecasts at the close of the newest minute, with what it computed before kept."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from predictor.forecast.champion import Champion
from predictor.forecast.distribution import distribute
from predictor.forecast.hourly_coverage import HourlyCoverage
from predictor.forecast.inputs import MEMORY_MINUTES, Minutes
from predictor.forecast.intervals import ANEW_MS, WINDOW_DAYS, Calibration
from predictor.forecast.track_extension import TRACK_MS, extend_track
from shared.bars import Bars
from shared.errors import InputsMissingError
from shared.instant import MINUTE_MS, from_milliseconds, to_text
from shared.levels import LEVELS

# The conformal window, and what the first of its forecasts look back on.
HISTORY_DAYS = WINDOW_DAYS + -(-MEMORY_MINUTES // 1440)


@dataclass(frozen=True)
class Distribution:
    """One forecast: a point and intervals by level in quote currency, and the deviation of the log return."""

    horizon_minutes: int
    point: float
    intervals: Mapping[int, tuple[float, float]]
    volatility: float
    probability_up: float


class Forecaster:
    """Forecasts with one champion; what it forecasts extends its own copy of the track."""

    def __init__(self, champion: Champion) -> None:
        self._model = champion.model
        self._track = champion.track
        self._hours = champion.hours
        self._calibration: tuple[int, Calibration, HourlyCoverage] | None = None

    def forecast(self, bars: Bars) -> tuple[Distribution, ...]:
        """Forecast at the close of the last bar, from the last HISTORY_DAYS of bars or what there is of them.

        Raises InputsMissingError with a sentence why there is none. A second of work the first time, and where scores
        are looked at anew; a fraction of one in between, for what the newest minute's own inputs look back on.
        """
        if not len(bars):
            raise InputsMissingError("No minute is in the record yet.")
        first = int(np.searchsorted(bars.open_time, bars.open_time[-1] - MEMORY_MINUTES * MINUTE_MS))
        minutes = Minutes.of(bars.part(first, len(bars)))
        row = np.array([len(minutes) - 1])
        forecasts = self._model.forecasts(minutes, row)
        if not np.isfinite(forecasts.variances).all():
            made_at = to_text(from_milliseconds(int(minutes.open_time[-1]) + MINUTE_MS))
            raise InputsMissingError(f"Too many of the minutes before {made_at} are missing to forecast from.")
        calibration, hours = self._calibrate(bars)
        scales = hours.scales(minutes.open_time[row] + MINUTE_MS)
        made = distribute(minutes, row, forecasts, calibration, scales)
        return tuple(
            Distribution(
                horizon_minutes=horizon,
                point=float(made.point[0, position]),
                intervals={
                    level: (float(made.lower[index, 0, position]), float(made.upper[index, 0, position]))
                    for index, level in enumerate(LEVELS)
                },
                volatility=float(np.sqrt(made.variances[0, position])),
                probability_up=float(made.probability_up[0, position]),
            )
            for position, horizon in enumerate(self._model.horizons_)
        )

    def _calibrate(self, bars: Bars) -> tuple[Calibration, HourlyCoverage]:
        """The calibration that holds until quantiles are taken anew: on scores that were there when its time began."""
        block = (int(bars.open_time[-1]) + MINUTE_MS) // ANEW_MS
        if self._calibration is None or self._calibration[0] != block:
            minutes = Minutes.of(bars)
            end_ms = block * ANEW_MS
            self._track = extend_track(minutes, self._model, self._track, end_ms, 1).since(end_ms - TRACK_MS)
            calibration = Calibration(minutes, self._track, self._model.horizons_)
            self._hours = calibration.count_hours(self._hours, end_ms)
            self._calibration = block, calibration, self._hours
        return self._calibration[1:]
