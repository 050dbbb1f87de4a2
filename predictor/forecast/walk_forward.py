"""Walks forward over minutes: trains, forecasts and calibrates as the service does, without its servers.

The model of each moment is the champion that the service would have had: trained at the start on what came before,
retrained by the schedule, and replaced by the gate. A forecast sees nothing after its own minute.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from predictor.forecast.champion import Champion
from predictor.forecast.distribution import Distributions, distribute
from predictor.forecast.inputs import Minutes
from predictor.forecast.intervals import Calibration
from predictor.forecast.track import make_empty_track
from predictor.forecast.track_extension import extend_track
from predictor.forecast.training import retrain
from predictor.schedule import Schedule
from shared.bars import Bars
from shared.instant import MINUTE_MS, from_milliseconds, to_milliseconds
from shared.rolling import Integers


class WalkForward:
    """One walk over minutes: the models that came to serve one after another, and what they forecast."""

    def __init__(self, bars: Bars, horizons: Sequence[int], every: int, schedule: Schedule) -> None:
        self.minutes = Minutes.of(bars)
        self._horizons = tuple(sorted(horizons))
        self._every = every
        self._schedule = schedule
        self.champions: list[tuple[int, int]] = []
        """When each champion began to serve, in ms, and the number of its training."""

    def run(self, since_ms: int, until_ms: int, on_progress: Callable[[int], object] = lambda _: None) -> Distributions:
        """Forecast at each close in [since_ms, until_ms) on the grid of `every` minutes; see `rows` for which.

        Raises TooLittleHistoryError when there is not enough before `since_ms` to begin with.
        """
        champion: Champion | None = None
        served = make_empty_track(self._horizons)
        for number, (start_ms, end_ms) in enumerate(self._periods(since_ms, until_ms), 1):
            champion = self._train(start_ms, champion, number)
            # What was made in the period, which ends before `end_ms`.
            track = extend_track(self.minutes, champion.model, champion.track, end_ms - 1, self._every)
            champion = replace(champion, track=track)
            served = served.extended(champion.track)
            on_progress((end_ms - start_ms) // MINUTE_MS)
        rows = self.rows(since_ms, until_ms)
        made = np.searchsorted(served.open_time, self.minutes.open_time[rows])
        calibration = Calibration(self.minutes, served, self._horizons)
        scales = calibration.scales(self.minutes.open_time[rows])
        return distribute(self.minutes, rows, served.at(made), calibration, scales)

    def rows(self, since_ms: int, until_ms: int) -> Integers:
        """The minutes that close in [since_ms, until_ms) on the grid, whether they are there or not."""
        end_ms = min(until_ms, int(self.minutes.open_time[-1]) + 2 * MINUTE_MS)
        closes = np.arange(-(-since_ms // MINUTE_MS), -(-end_ms // MINUTE_MS), dtype=np.int64)
        closes = closes[closes % self._every == 0]
        return np.asarray(closes - 1 - int(self.minutes.open_time[0]) // MINUTE_MS)

    def _train(self, now_ms: int, champion: Champion | None, number: int) -> Champion:
        challenger, decision = retrain(self.minutes, now_ms, self._horizons, champion, self._every)
        if champion is None or decision.is_better:
            self.champions.append((now_ms, number))
            return challenger
        return champion

    def _periods(self, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
        """From one training to the next: at the start, then whenever the schedule says."""
        start_ms = since_ms
        while start_ms < until_ms:
            next_at = self._schedule.next_after(from_milliseconds(start_ms))
            next_ms = to_milliseconds(next_at) if next_at else until_ms
            yield start_ms, min(next_ms, until_ms)
            start_ms = next_ms
