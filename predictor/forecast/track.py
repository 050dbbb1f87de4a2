"""What a line of champions forecast before they could know, by minute: it calibrates the forecasts to come."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.rolling import Floats, Integers


@dataclass(frozen=True)
class Track:
    """Forecasts of the log return over each horizon, made at the close of the minutes that open at `open_time`."""

    open_time: Integers
    """ms since 1970, increasing."""
    variances: Floats
    """Of shape (minutes, horizons); NaN where no forecast could be made."""
    drifts: Floats
    """The returns expected, of the same shape; 0 where the last price is the point."""

    def __len__(self) -> int:
        return len(self.open_time)

    def extended(self, later: "Track") -> "Track":
        """Return the track with what was forecast after its end; what it has already stays as it was."""
        new = later.since(int(self.open_time[-1]) + 1) if len(self) else later
        return Track(
            np.concatenate([self.open_time, new.open_time]),
            np.concatenate([self.variances, new.variances]),
            np.concatenate([self.drifts, new.drifts]),
        )

    def since(self, time_ms: int) -> "Track":
        """Return what of the track opens at `time_ms` or later."""
        return self.at(slice(int(np.searchsorted(self.open_time, time_ms)), None))

    def until(self, time_ms: int) -> "Track":
        """Return what of the track opens before `time_ms`."""
        return self.at(slice(int(np.searchsorted(self.open_time, time_ms))))

    def at(self, rows: Integers | slice) -> "Track":
        """Return the forecasts at those positions."""
        return Track(self.open_time[rows], self.variances[rows], self.drifts[rows])


def make_empty_track(horizons: Sequence[int]) -> Track:
    """A track of nothing yet."""
    nothing = np.empty((0, len(horizons)))
    return Track(np.empty(0, dtype=np.int64), nothing, nothing)
