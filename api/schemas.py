"""The answers as OpenAPI documents them; they are never built from these, which would make a page ten times slower."""

from datetime import datetime
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model
from pydantic.fields import FieldInfo

from api.bars import EXACT
from shared.feature_table import FEATURES, Feature

# An exact decimal is a number in JSON; pydantic would document a text too.
Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]

_PRICE = "in the quote currency, exact"
_AMOUNT = "in the base currency, exact"


class Answer(BaseModel):
    """An answer has these members, and no others."""

    model_config = ConfigDict(extra="forbid")


class ParameterProblem(Answer):
    """What is wrong with one parameter."""

    parameter: str = Field(description="Its name.", examples=["limit"])
    detail: str = Field(description="What is wrong.", examples=["Input should be less than or equal to 10000"])


class Problem(Answer):
    """An error, as RFC 9457 has it."""

    type: str = Field(
        description="What a program may branch on.", examples=["urn:minutebook:problem:invalid-parameter"]
    )
    title: str = Field(description="The type, in words.", examples=["A parameter cannot be used"])
    status: int = Field(description="The HTTP status.", examples=[400])
    detail: str = Field(description="This occurrence, in a sentence.")
    instance: str = Field(description="The path that was asked.", examples=["/price/history"])
    errors: list[ParameterProblem] = Field(
        default_factory=list, description="The parameters at fault; absent where there is none."
    )


class Link(Answer):
    """Where something is."""

    href: str = Field(description="The path.", examples=["/price/latest"])
    title: str = Field(description="What is there.", examples=["The newest minute"])


class Root(Answer):
    """What this is, and where everything is."""

    name: str = Field(description="The product.", examples=["Minutebook"])
    version: str = Field(description="Its version.", examples=["0.1.0"])
    links: dict[str, Link] = Field(description="Every route, by name.")


class Latest(Answer):
    """The newest closed minute."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    price: Number = Field(description=f"The close, {_PRICE}.", examples=[67012.34])
    timestamp: datetime = Field(description="The minute's open, UTC.", examples=["2026-11-22T12:34:00Z"])
    open: Number = Field(description=f"The first price, {_PRICE}.", examples=[67000.01])
    high: Number = Field(description=f"The highest price, {_PRICE}.", examples=[67020])
    low: Number = Field(description=f"The lowest price, {_PRICE}.", examples=[66990.5])
    volume: Number = Field(description=f"The volume traded, {_AMOUNT}.", examples=[12.34567])
    quote_volume: Number = Field(description=f"The volume traded, {_PRICE}.", examples=[827312.1043])
    trades: int = Field(description="The number of trades.", examples=[812])
    source: str = Field(description="Where the minute is from.", examples=["binance"])
    created_at: datetime = Field(description="When it was stored.", examples=["2026-11-22T12:35:00.412901Z"])
    age_seconds: float = Field(
        ge=0, description="Seconds from the minute's close to the exchange's now.", examples=[12.345]
    )
    stale: bool = Field(description="Whether the age is beyond 120 s.", examples=[False])


class MissingRun(Answer):
    """Missing minutes in a row, with one cause."""

    start: datetime = Field(description="The first missing minute.", examples=["2023-03-24T12:40:00Z"])
    end: datetime = Field(description="The end of the last one, exclusive.", examples=["2023-03-24T14:00:00Z"])
    cause: Literal["source_absent", "not_collected"] = Field(
        description="`source_absent`: the exchange was asked and has none; `not_collected`: not fetched yet.",
        examples=["source_absent"],
    )


class Gap(MissingRun):
    """A run of missing minutes, with its length."""

    minutes: int = Field(ge=1, description="How many minutes are missing.", examples=[80])


class Day(Answer):
    """How complete a day is."""

    day: datetime = Field(description="The day's beginning, UTC.", examples=["2023-03-24T00:00:00Z"])
    count: int = Field(ge=0, description="The minutes that are there.", examples=[1360])
    expected: int = Field(ge=1, description="The minutes that are past, in the range.", examples=[1440])
    completeness: float = Field(ge=0, le=1, description="count / expected.", examples=[0.9444444444444444])


class Gaps(Answer):
    """What is missing in [start, end), and why."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    start: datetime = Field(description="The first instant that this page covers.")
    end: datetime = Field(description="The end of what this page covers, exclusive.")
    expected: int = Field(ge=0, description="The minutes of [start, end) that are past.", examples=[43200])
    count: int = Field(ge=0, description="How many of them are there.", examples=[43120])
    missing: int = Field(ge=0, description="How many of them are not.", examples=[80])
    completeness: float | None = Field(
        ge=0, le=1, description="count / expected; null where nothing is expected.", examples=[0.9981481481481481]
    )
    gaps: list[Gap] = Field(description="The runs of missing minutes, oldest first.")
    days: list[Day] = Field(description="Every day that the page touches, oldest first.")
    next_cursor: str | None = Field(description="For the next page; null at the end.", examples=[None])


class Percentiles(BaseModel):
    """Percentiles of closes, interpolated linearly between neighbours, exact."""

    model_config = ConfigDict(extra="forbid")

    p5: Number | None = Field(alias="5", description="5 % of the closes are below.", examples=[61000.5])
    p25: Number | None = Field(alias="25", description="25 % of the closes are below.", examples=[62000])
    p75: Number | None = Field(alias="75", description="75 % of the closes are below.", examples=[66000])
    p95: Number | None = Field(alias="95", description="95 % of the closes are below.", examples=[67000])


class Stats(Answer):
    """A range of minutes summed up; nulls where there is no minute."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    start: datetime = Field(description="The first instant, inclusive.")
    end: datetime = Field(description="The last instant, exclusive.")
    count: int = Field(ge=0, description="The minutes that are there.", examples=[1440])
    expected: int = Field(ge=0, description="The minutes that are past.", examples=[1440])
    completeness: float | None = Field(
        ge=0, le=1, description="count / expected; null where nothing is expected.", examples=[1]
    )
    first: Number | None = Field(description=f"The first close, {_PRICE}.", examples=[66000.01])
    last: Number | None = Field(description=f"The last close, {_PRICE}.", examples=[67012.34])
    min: Number | None = Field(description=f"The lowest low, {_PRICE}.", examples=[65123.4])
    min_at: datetime | None = Field(description="The first minute that reached it.")
    max: Number | None = Field(description=f"The highest high, {_PRICE}.", examples=[67999.99])
    max_at: datetime | None = Field(description="The first minute that reached it.")
    mean: float | None = Field(description="The mean of the closes.", examples=[66512.25])
    median: Number | None = Field(description="The median of the closes, exact.", examples=[66500.005])
    std: float | None = Field(
        ge=0, description="The sample standard deviation (n - 1) of the closes; null below two.", examples=[412.7]
    )
    percentiles: Percentiles = Field(description="Percentiles of the closes.")
    change: Number | None = Field(description=f"last - first, {_PRICE}.", examples=[1012.33])
    change_percent: Number | None = Field(description="change / first, in percent.", examples=[1.5338331010858])
    vwap: Number | None = Field(
        description="quote_volume / volume; null where nothing was traded.", examples=[66498.1234567]
    )
    volume: Number | None = Field(description=f"The volume traded, {_AMOUNT}.", examples=[20481.55])
    quote_volume: Number | None = Field(description=f"The volume traded, {_PRICE}.", examples=[1361983455.12])
    trades: int | None = Field(description="The number of trades.", examples=[1812345])
    realised_volatility: float | None = Field(
        ge=0,
        description="The root of the summed squared one-minute log returns of closes; none spans a missing minute.",
        examples=[0.0213],
    )
    max_drawdown: float | None = Field(
        ge=-1, le=0, description="The deepest fall of a close below an earlier one, as a fraction.", examples=[-0.0311]
    )


class Bar(Answer):
    """A bar."""

    timestamp: datetime = Field(description="The bar's open, UTC.", examples=["2026-11-22T12:34:00Z"])
    price: Number = Field(description=f"The close, {_PRICE}.", examples=[67012.34])
    open: Number = Field(description=f"The first price, {_PRICE}.", examples=[67000.01])
    high: Number = Field(description=f"The highest price, {_PRICE}.", examples=[67020])
    low: Number = Field(description=f"The lowest price, {_PRICE}.", examples=[66990.5])
    volume: Number = Field(description=f"The volume traded, {_AMOUNT}.", examples=[12.34567])
    trades: int = Field(description="The number of trades.", examples=[812])
    source: str = Field(description="Where the minutes are from; `mixed` for several.", examples=["binance"])
    created_at: datetime = Field(
        description="When its newest minute was stored.", examples=["2026-11-22T12:35:00.412901Z"]
    )


def _feature_field(feature: Feature) -> Any:
    text = f"{feature.formula} [{feature.unit}]. Source: {feature.source}."
    if feature.name in EXACT:
        return (Number, Field(None, description=f"{text} Exact."))
    return (float | None, Field(None, description=f"{text} Null without a full window."))


def _column_field(field: FieldInfo) -> Any:
    items = GenericAlias(list, (field.rebuild_annotation(),))
    return (items, Field(... if field.is_required() else [], description=field.description))


# The features are declared once, in shared/features.py; these say what a row of them looks like.
Row = create_model(
    "Row",
    __base__=Bar,
    __doc__="A bar and the features asked for.",
    **{name: _feature_field(feature) for name, feature in FEATURES.items()},
)
Columns = create_model(
    "Columns",
    __base__=Answer,
    __doc__="The same values, an array a column.",
    **{name: _column_field(field) for name, field in Row.model_fields.items()},
)


class History(Answer):
    """A page of bars."""

    symbol: str = Field(description="The symbol.", examples=["BTCUSDT"])
    start: datetime = Field(description="The range's first instant; with the newest rows, the first of them.")
    end: datetime = Field(description="The range's end, exclusive.")
    interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d"] = Field(
        description="The length of a bar.", examples=["1m"]
    )
    count: int = Field(ge=0, description="The number of rows on this page.", examples=[100])
    data: list[Row] | Columns = Field(  # type: ignore[valid-type]
        description="`layout=rows`: an object a row; `columns`: an array a column."
    )
    next_cursor: str | None = Field(description="For the next page; null at the end.", examples=[None])
    gaps: list[MissingRun] = Field(description="The minutes missing from what this page covers, oldest first.")


class DatabaseHealth(Answer):
    """Whether the database answers."""

    status: Literal["ok", "outdated", "unavailable"] = Field(
        description="Whether it answers; `outdated`: it does, but was not migrated to this version."
    )
    latency_ms: float | None = Field(description="What one query took, in ms; null without an answer.", examples=[0.4])
    is_replica: bool | None = Field(description="Whether it is a read replica.", examples=[False])
    replica_lag_seconds: float | None = Field(
        description="How old the newest transaction of a replica is, in seconds.", examples=[None]
    )


class TickHealth(Answer):
    """How fresh a symbol's ticks are."""

    timestamp: datetime | None = Field(description="The newest minute's open; null before the first.")
    age_seconds: float | None = Field(description="Seconds from its close to the exchange's now.", examples=[12.3])
    collected: bool = Field(description="Whether it is collected now; else its record has ended.", examples=[True])
    stale: bool = Field(
        description="Whether it is collected, and the age is beyond 120 s or there is no tick.", examples=[False]
    )


class PredictorHealth(Answer):
    """The predictor's last sign of life."""

    instance: str = Field(description="The process.", examples=["host-1234"])
    started_at: datetime = Field(description="When it started.")
    beat_at: datetime = Field(description="When it gave its last sign, by the database's clock.")
    age_seconds: float = Field(description="Seconds since then.", examples=[3.2])
    stale: bool = Field(description="Whether that is beyond 60 s.", examples=[False])
    instances: int = Field(ge=0, description="How many of them gave a sign within 60 s.", examples=[2])
    details: dict[str, Any] = Field(description="What it says of itself.")


class CollectorHealth(PredictorHealth):
    """The collector's last sign of life: the leader's, or where none leads, the newest."""

    is_leader: bool = Field(description="Whether it leads.", examples=[True])
    exchange_time: datetime | None = Field(description="The exchange's clock at that time.")


class ForecastHealth(Answer):
    """How fresh a symbol's forecasts are."""

    made_at: datetime | None = Field(description="When the newest was made; null before the first.")
    age_seconds: float | None = Field(description="Seconds from then to the exchange's now.", examples=[12.3])
    predicted: bool = Field(
        description="Whether the predictors forecast it, or the last that lived did.", examples=[True]
    )
    stale: bool = Field(description="Whether it is predicted, and no forecast is fresh.", examples=[False])
    reason: str | None = Field(description="Why no forecast is fresh; null where one is.", examples=[None])
    model_version: int | None = Field(description="The model that serves; null where there is none.", examples=[12])
    model_age_seconds: float | None = Field(description="Seconds since it was trained.", examples=[33540.2])
    registry_reason: str | None = Field(
        description="Why the model registry cannot be asked; null where it can.", examples=[None]
    )
    next_training_at: datetime | None = Field(description="When a model is trained next; null where that is unknown.")


class Health(Answer):
    """How everything is, as the database shows it."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: what is served is not fresh; `unavailable`: the database does not answer."
    )
    version: str = Field(description="The version that answers.", examples=["0.1.0"])
    database: DatabaseHealth = Field(description="The database.")
    ticks: dict[str, TickHealth] = Field(description="Freshness by symbol.")
    collector: CollectorHealth | None = Field(description="The collector; null where none ever gave a sign.")
    forecasts: dict[str, ForecastHealth] = Field(description="Freshness by symbol, of those that are or were forecast.")
    predictor: PredictorHealth | None = Field(description="The predictor; null where none ever gave a sign.")


class Liveness(Answer):
    """The process runs."""

    status: Literal["ok"] = Field(description="Always ok.")


class Readiness(Answer):
    """Whether requests can be served."""

    status: Literal["ok"] = Field(description="The database answers, and its schema is there.")
