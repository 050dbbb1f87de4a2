"""The predictor's settings."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from predictor.registry.address import DEFAULT_SCHEMA
from predictor.schedule import Schedule
from shared.errors import SettingsError
from shared.settings import CommaList, PostgresUrl, Settings, split_list
from shared.symbols import check_symbols

DEFAULT_HORIZONS = (1, 5, 15, 60)
DEFAULT_SCHEDULE = "15 3 * * *"
_LONGEST_HORIZON = 1440


def check_horizons(horizons: tuple[int, ...]) -> tuple[int, ...]:
    """Increasing, without repeats; raises ValueError with a sentence for none, or one that is out of reach."""
    if not horizons or not all(1 <= minutes <= _LONGEST_HORIZON for minutes in horizons):
        raise ValueError(f"name minutes from 1 to {_LONGEST_HORIZON}, such as 1,5,15,60")
    return tuple(sorted(set(horizons)))


def _check_schedule(text: str) -> str:
    return Schedule(text).text


def _check_tracking_uri(uri: str) -> str:
    if not uri:
        return uri
    host = uri.partition("://")[2].strip("/")
    if uri == "databricks" or (uri.startswith(("http://", "https://", "databricks://")) and host):
        return uri.rstrip("/")
    raise ValueError("it must be the URL of an MLflow server, such as http://localhost:5000, or `databricks`")


def _check_schema(schema: str) -> str:
    levels = schema.split(".")
    if len(levels) == 2 and all(level and not set(level) & set("/ ") for level in levels):
        return schema
    raise ValueError("it must be a catalog and a schema, such as workspace.default")


class PredictorSettings(Settings):
    """What is forecast, how far ahead, when models are trained, and where they are kept."""

    model_config = SettingsConfigDict(env_prefix="PREDICTOR_", protected_namespaces=())

    database_url: PostgresUrl = Field(
        description="Postgres as the role `predictor`; several hosts are allowed; none outside `make run`"
    )
    symbols: Annotated[CommaList, AfterValidator(check_symbols)] = Field(
        ("BTCUSDT",), description="A comma list of symbols that the collector collects"
    )
    horizons: Annotated[tuple[int, ...], NoDecode, BeforeValidator(split_list), AfterValidator(check_horizons)] = Field(
        DEFAULT_HORIZONS, description="How far ahead forecasts look, a comma list of minutes"
    )
    schedule: Annotated[str, AfterValidator(_check_schedule)] = Field(
        DEFAULT_SCHEDULE, description="When models are trained anew: cron's five fields, in UTC; `off`: only by `train`"
    )
    mlflow_tracking_uri: Annotated[str, AfterValidator(_check_tracking_uri)] = Field(
        "", description="The MLflow server's URL, or `databricks` with its own variables; `make run` brings its own"
    )
    mlflow_schema: Annotated[str, AfterValidator(_check_schema)] = Field(
        DEFAULT_SCHEMA, description="With `databricks`, the Unity Catalog's catalog and schema for registered models"
    )
    cache: Path = Field(
        Path(".minutebook/models"), description="A folder that keeps the last champion, for when MLflow is away"
    )

    def registry_uri(self) -> str:
        """Where the models are; raises SettingsError where that is not said."""
        if not self.mlflow_tracking_uri:
            raise SettingsError("PREDICTOR_MLFLOW_TRACKING_URI is not set (see .env.example).")
        return self.mlflow_tracking_uri
