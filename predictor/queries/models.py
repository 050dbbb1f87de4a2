"""Writes down which models there are, as forecasts name them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from predictor.model_info import ModelInfo
from shared.database.connection import Connection


@dataclass(frozen=True)
class Promotion:
    """Whether a model was made the champion and why, with the figures of its evaluation."""

    was_promoted: bool
    reason: str
    metrics: Mapping[str, float]


_UNKNOWN = Promotion(
    was_promoted=True, reason="The registry names it the champion; its training is not in this database.", metrics={}
)


async def upsert_model(connection: Connection, info: ModelInfo, promotion: Promotion) -> None:
    """Write a model down as its training knows it."""
    await _upsert_model(connection, info, promotion, wins=True)


async def adopt_model(connection: Connection, info: ModelInfo) -> None:
    """See to it that the champion can be named by forecasts, whether or not this database knows of its training.

    It does not after a restore; and a version may be another model's, where the registry was emptied.
    """
    await _upsert_model(connection, info, _UNKNOWN, wins=False)
    await connection.execute(
        "UPDATE models SET promoted_at = now() WHERE symbol = $1 AND version = $2 AND promoted_at IS NULL",
        info.symbol,
        info.version,
    )


async def _upsert_model(connection: Connection, info: ModelInfo, promotion: Promotion, *, wins: bool) -> None:
    await connection.execute(
        """
        INSERT INTO models AS model (
            symbol, version, name, run_id, trained_at, trained_from, trained_to, data_digest, feature_version,
            horizons, was_promoted, decision, metrics, promoted_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, CASE WHEN $11 THEN now() END)
        ON CONFLICT (symbol, version) DO UPDATE
        SET name = excluded.name, run_id = excluded.run_id, trained_at = excluded.trained_at,
            trained_from = excluded.trained_from, trained_to = excluded.trained_to,
            data_digest = excluded.data_digest, feature_version = excluded.feature_version,
            horizons = excluded.horizons, was_promoted = excluded.was_promoted, decision = excluded.decision,
            metrics = excluded.metrics, promoted_at = excluded.promoted_at
        WHERE $14 OR model.run_id <> excluded.run_id
        """,
        info.symbol,
        info.version,
        info.name,
        info.run_id,
        info.trained_at,
        info.trained_from,
        info.trained_to,
        info.data_digest,
        info.feature_version,
        list(info.horizons),
        promotion.was_promoted,
        promotion.reason,
        json.dumps(promotion.metrics),
        wins,
    )
