"""What is to be known of a registered model without loading it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ModelInfo:
    """One version of a symbol's model, as the registry has it."""

    symbol: str
    version: int
    name: str
    run_id: str
    trained_at: datetime
    trained_from: datetime
    trained_to: datetime
    data_digest: str
    feature_version: int
    horizons: tuple[int, ...]
