"""What the registry keeps about a model beside the model: a version's tags, which are the run's as well."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from predictor.model_info import ModelInfo
from shared.errors import ModelUnusableError
from shared.instant import to_text
from shared.version import read_version

if TYPE_CHECKING:
    from predictor.forecast.training import Training

# Databricks allows neither a dot nor a hyphen in the name of a tag.
_PREFIX = "minutebook_"


def to_tags(symbol: str, training: "Training", trained_at: datetime) -> dict[str, str]:
    """Return a training's tags: what `from_tags` reads, the code's version and the gate's decision."""
    values = {
        "symbol": symbol,
        "trained_at": to_text(trained_at),
        "trained_from": to_text(training.trained_from),
        "trained_to": to_text(training.trained_to),
        "data_digest": training.data_digest,
        "feature_version": str(training.feature_version),
        "horizons": ",".join(map(str, training.challenger.horizons)),
        "code_version": read_version(),
        "is_better": str(training.is_better).lower(),
        "decision": training.reason,
    }
    return {_PREFIX + name: value for name, value in values.items()}


def from_tags(name: str, version: str, run_id: str, tags: Mapping[str, str]) -> ModelInfo:
    """Read a version's tags; raises ModelUnusableError for a version that Minutebook did not register."""
    values = {key.removeprefix(_PREFIX): value for key, value in tags.items() if key.startswith(_PREFIX)}
    try:
        return ModelInfo(
            symbol=values["symbol"],
            version=int(version),
            name=name,
            run_id=run_id,
            trained_at=_instant(values["trained_at"]),
            trained_from=_instant(values["trained_from"]),
            trained_to=_instant(values["trained_to"]),
            data_digest=values["data_digest"],
            feature_version=int(values["feature_version"]),
            horizons=tuple(int(minutes) for minutes in values["horizons"].split(",")),
        )
    except (KeyError, ValueError) as error:
        raise ModelUnusableError(
            f"Version {version} of {name} lacks Minutebook's tags: give the alias `champion` to one that has them."
        ) from error


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"'{text}' has no zone")
    return instant
