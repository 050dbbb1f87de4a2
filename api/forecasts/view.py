"""The newest forecasts, and the scores, as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import orjson

from api.forecast_status import ForecastStatus
from api.forecasts.fields import TRACK_RECORD
from api.forecasts.newest import FreshForecast, find_newest_made_at
from api.freshness import seconds_since
from api.track_record import TrackRecord
from shared.instant import to_text


class Prediction(NamedTuple):
    """What was read for the newest forecasts of a symbol, at `now` by its exchange's clock."""

    symbol: str
    now: datetime
    status: ForecastStatus
    forecasts: Sequence[FreshForecast]
    track_record: TrackRecord


class ScoreBoard(NamedTuple):
    """What was read for the scores of a symbol, at `now` by its exchange's clock."""

    symbol: str
    now: datetime
    horizons: Sequence[int]
    track_record: TrackRecord
    trainings: Sequence[dict[str, object]]


def encode_prediction(found: Prediction) -> tuple[bytes, bytes]:
    """Return the answer in two objects: without the ages, and the ages."""
    content = {
        "symbol": found.symbol,
        "forecasts": [
            {**forecast.content, "track_record": _track_record(found.track_record, forecast.horizon_minutes)}
            for forecast in found.forecasts
        ],
        "notes": _notes(found.status),
    }
    ages = {
        "age_seconds": seconds_since(find_newest_made_at(found.forecasts), found.now),
        "model_age_seconds": round(max(forecast.model_age_seconds for forecast in found.forecasts), 3),
    }
    return orjson.dumps(content), orjson.dumps(ages)


def encode_score_board(found: ScoreBoard) -> bytes:
    """Return the answer."""
    record = found.track_record
    return orjson.dumps(
        {
            "symbol": found.symbol,
            "until": to_text(record.until),
            "horizons": [{"horizon_minutes": each, "windows": record.scores(each)} for each in found.horizons],
            "trainings": found.trainings,
        }
    )


def _track_record(record: TrackRecord, horizon: int) -> dict[str, object]:
    names = [each.name for each in TRACK_RECORD.fields]
    return {window: {name: score[name] for name in names} for window, score in record.scores(horizon).items()}


def _notes(status: ForecastStatus) -> list[str]:
    if status.is_silent or status.registry_reason is None or status.trained_at is None:
        return []
    model = f"version {status.model_version} of the model, trained at {to_text(status.trained_at)}"
    return [f"{status.registry_reason} Forecasts go on with {model}."]
