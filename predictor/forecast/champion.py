"""What serves, or might: a model with what it needs beside itself to state intervals. The registry stores it whole."""

from dataclasses import dataclass

import numpy.typing as npt

from predictor.forecast.hourly_coverage import HourlyCoverage
from predictor.forecast.model import DistributionModel
from predictor.forecast.track import Track
from shared.rolling import Floats

# Raised when a stored champion would lack what is read of it now, so that another model is trained instead.
FORMAT = 3


@dataclass(frozen=True)
class Champion:
    """A model, the track that its intervals are calibrated on, and the coverage that widens them by hour of the day."""

    model: DistributionModel
    track: Track
    """What the model and those that served before it forecast, without having seen what came."""
    hours: HourlyCoverage | None = None
    """As counted where the track ends; None where nothing has been counted yet."""
    format: int = FORMAT

    def predict(self, X: npt.ArrayLike) -> Floats:  # noqa: N803 - the name that scikit-learn's users expect
        """Return the model's variances; MLflow serves a stored champion by this method."""
        return self.model.predict(X)

    @property
    def horizons(self) -> tuple[int, ...]:
        """How many minutes the forecasts look ahead."""
        return self.model.horizons_
