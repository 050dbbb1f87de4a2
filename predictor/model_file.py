"""A model as one file: skops, which runs no code of the file's, and makes objects only of the types named here."""

from typing import TYPE_CHECKING

from shared.errors import ModelUnusableError

if TYPE_CHECKING:
    from predictor.model import DistributionModel

# What is neither NumPy's nor one of scikit-learn's public types.
TRUSTED_TYPES = (
    "predictor.hours.Hours",
    "predictor.model.DistributionModel",
    "predictor.point.Point",
    "predictor.track.Track",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def load_model(content: bytes) -> "DistributionModel":
    """Return the model; raises ModelUnusableError for a damaged file, or one of another version of Minutebook."""
    # Takes seconds, and brings scikit-learn along.
    import skops.io  # noqa: PLC0415

    from predictor.model import FORMAT, DistributionModel  # noqa: PLC0415

    try:
        model = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    # A file can be wrong in any way, and skops has no one error for it.
    except Exception as error:
        detail = str(error).partition("\n")[0].rstrip(".")
        raise ModelUnusableError(
            f"The stored model cannot be read ({type(error).__name__}: {detail}): train another one."
        ) from error
    if not isinstance(model, DistributionModel):
        raise ModelUnusableError(f"The stored model is a {type(model).__name__} and makes no forecasts: train one.")
    if getattr(model, "format_", None) != FORMAT:
        raise ModelUnusableError("The stored model is of another version of Minutebook: train another one.")
    return model
