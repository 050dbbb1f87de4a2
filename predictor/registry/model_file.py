"""A champion as one file: skops, which runs no code of the file's, and makes objects only of the types named here."""

from typing import TYPE_CHECKING

from shared.errors import ModelUnusableError

if TYPE_CHECKING:
    from predictor.forecast.champion import Champion

# What is neither NumPy's nor one of scikit-learn's public types.
TRUSTED_TYPES = (
    "predictor.forecast.champion.Champion",
    "predictor.forecast.hourly_coverage.HourlyCoverage",
    "predictor.forecast.model.DistributionModel",
    "predictor.forecast.point.Point",
    "predictor.forecast.track.Track",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
_OURS = "predictor."
_OTHER_VERSION = "The stored model is of another version of Minutebook: train another one."


def load_champion(content: bytes) -> "Champion":
    """Return what is stored; raises ModelUnusableError for a damaged file, or one of another version of Minutebook."""
    # Takes seconds, and brings scikit-learn along.
    import skops.io  # noqa: PLC0415

    from predictor.forecast.champion import FORMAT, Champion  # noqa: PLC0415

    try:
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
        is_of_other_version = any(name.startswith(_OURS) for name in unknown)
        stored = None if is_of_other_version else skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    # A file can be wrong in any way, and skops has no one error for it.
    except Exception as error:
        detail = str(error).partition("\n")[0].rstrip(".")
        raise ModelUnusableError(
            f"The stored model cannot be read ({type(error).__name__}: {detail}): train another one."
        ) from error
    if is_of_other_version:
        raise ModelUnusableError(_OTHER_VERSION)
    if not isinstance(stored, Champion):
        raise ModelUnusableError(f"The stored model is a {type(stored).__name__} and makes no forecasts: train one.")
    if stored.format != FORMAT:
        raise ModelUnusableError(_OTHER_VERSION)
    return stored
