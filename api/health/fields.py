"""What `/health` and the probes answer with."""

from typing import Final

from api.fields import Field, MapOf, Object, Type
from api.kinds import ANY_OBJECT, BOOLEAN, FLOAT, INTEGER, MICROSECOND, SECOND, TEXT, one_of


def _optional(name: str, type_: Type, description: str, example: object = None) -> Field:
    return Field(name, type_, description, example, is_nullable=True)


DATABASE_HEALTH: Final = Object(
    "DatabaseHealth",
    "Whether the database answers.",
    (
        Field(
            "status",
            one_of("ok", "outdated", "unavailable"),
            "Whether it answers; `outdated`: it does, but was not migrated to this version.",
        ),
        _optional("latency_ms", FLOAT, "What one query took, in ms; null without an answer.", 0.4),
        _optional("is_replica", BOOLEAN, "Whether it is a read replica.", example=False),
        _optional("replica_lag_seconds", FLOAT, "How old the newest transaction of a replica is, in seconds."),
    ),
)
TICK_HEALTH: Final = Object(
    "TickHealth",
    "How fresh a symbol's ticks are.",
    (
        _optional("timestamp", SECOND, "The newest minute's open; null before the first."),
        _optional("age_seconds", FLOAT, "Seconds from its close to the exchange's now.", 12.3),
        Field("collected", BOOLEAN, "Whether it is collected now; else its record has ended.", example=True),
        Field(
            "stale", BOOLEAN, "Whether it is collected, and the age is beyond 120 s or there is no tick.", example=False
        ),
    ),
)
PREDICTOR_HEALTH: Final = Object(
    "PredictorHealth",
    "The predictor's last sign of life.",
    (
        Field("instance", TEXT, "The process.", "host-1234"),
        Field("started_at", MICROSECOND, "When it started."),
        Field("beat_at", MICROSECOND, "When it gave its last sign, by the database's clock."),
        Field("age_seconds", FLOAT, "Seconds since then.", 3.2),
        Field("stale", BOOLEAN, "Whether that is beyond 60 s.", example=False),
        Field("instances", INTEGER, "How many of them gave a sign within 60 s.", 2, limits={"minimum": 0}),
        Field("details", ANY_OBJECT, "What it says of itself."),
    ),
)
COLLECTOR_HEALTH: Final = Object(
    "CollectorHealth",
    "The collector's last sign of life: the leader's, or where none leads, the newest.",
    (
        *PREDICTOR_HEALTH.fields,
        Field("is_leader", BOOLEAN, "Whether it leads.", example=True),
        _optional(
            "exchange_time",
            MICROSECOND,
            "The clock at that time of the exchange that the first symbol collected is from.",
        ),
    ),
)
FORECAST_HEALTH: Final = Object(
    "ForecastHealth",
    "How fresh a symbol's forecasts are.",
    (
        _optional("made_at", SECOND, "When the newest was made; null before the first."),
        _optional("age_seconds", FLOAT, "Seconds from then to the exchange's now.", 12.3),
        Field("predicted", BOOLEAN, "Whether the predictors forecast it, or the last that lived did.", example=True),
        Field("stale", BOOLEAN, "Whether it is predicted, and no forecast is fresh.", example=False),
        _optional("reason", TEXT, "Why no forecast is fresh; null where one is."),
        _optional("model_version", INTEGER, "The model that serves; null where there is none.", 12),
        _optional("model_age_seconds", FLOAT, "Seconds since it was trained.", 33540.2),
        _optional("registry_reason", TEXT, "Why the model registry cannot be asked; null where it can."),
        _optional("next_training_at", MICROSECOND, "When a model is trained next; null where that is unknown."),
    ),
)
HEALTH: Final = Object(
    "Health",
    "How everything is, as the database shows it.",
    (
        Field(
            "status",
            one_of("ok", "degraded", "unavailable"),
            "`degraded`: what is served is not fresh; `unavailable`: the database does not answer.",
        ),
        Field("version", TEXT, "The version that answers.", "0.1.0"),
        Field("database", DATABASE_HEALTH, "The database."),
        Field("ticks", MapOf(TICK_HEALTH), "Freshness by symbol."),
        _optional("collector", COLLECTOR_HEALTH, "The collector; null where none ever gave a sign."),
        Field("forecasts", MapOf(FORECAST_HEALTH), "Freshness by symbol, of those that are or were forecast."),
        _optional("predictor", PREDICTOR_HEALTH, "The predictor; null where none ever gave a sign."),
    ),
)
LIVENESS: Final = Object("Liveness", "The process runs.", (Field("status", one_of("ok"), "Always ok."),))
READINESS: Final = Object(
    "Readiness",
    "Whether requests can be served.",
    (Field("status", one_of("ok"), "The database answers, and its schema is there."),),
)
