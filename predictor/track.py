"""What a line of champions forecast before they could know: variances by minute, which calibrate those to come."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.rolling import Floats, Integers


@dataclass(frozen=True)
class Track:
    """Variances of the log return over each horizon, made at the close of the minutes that open at `open_time`."""

    open_time: Integers
    """ms since 1970, increasing."""
    variances: Floats
    """Of shape (minutes, horizons); NaN where no forecast could be made."""

    def __len__(self) -> int:
        return len(self.open_time)

    def extended(self, open_time: Integers, variances: Floats) -> "Track":
        """Return the track with what was forecast after its end; what it has already stays as it was."""
        new = open_time > (self.open_time[-1] if len(self) else -1)
        return Track(np.concatenate([self.open_time, open_time[new]]), np.concatenate([self.variances, variances[new]]))

    def since(self, time_ms: int) -> "Track":
        """Return what of the track opens at `time_ms` or later."""
        first = int(np.searchsorted(self.open_time, time_ms))
        return Track(self.open_time[first:], self.variances[first:])

    def until(self, time_ms: int) -> "Track":
        """Return what of the track opens before `time_ms`."""
        last = int(np.searchsorted(self.open_time, time_ms))
        return Track(self.open_time[:last], self.variances[:last])


def empty_track(horizons: Sequence[int]) -> Track:
    """A track of nothing yet."""
    return Track(np.empty(0, dtype=np.int64), np.empty((0, len(horizons))))
