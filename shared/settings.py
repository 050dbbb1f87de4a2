"""Reads settings once, from the environment, `.env` or a secret's file; they are checked and frozen."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self, cast, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared.errors import SettingsError
from shared.logging import Format, Level


def split_list(value: object) -> object:
    """Split a comma list into a tuple of its non-empty, stripped parts; returns other values unchanged."""
    return (
        tuple(part for part in (part.strip() for part in value.split(",")) if part) if isinstance(value, str) else value
    )


def check_postgres_url(value: object) -> object:
    """Return `value`; raises ValueError with a sentence when it is not a Postgres URL."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("it must be a URL such as postgresql://user:password@host:5432/minutebook")
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
PostgresUrl = Annotated[SecretStr, BeforeValidator(check_postgres_url)]


class SecretFileSource(PydanticBaseSettingsSource):
    """Reads a secret X from the file that X_FILE names, as containers mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's stripped text; raises SettingsError when the file cannot be read."""
        variable = variable_name(self.settings_cls, field_name) + "_FILE"
        path = os.environ.get(variable) if is_secret(field) else None
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise SettingsError(f"{variable} names {path}, which cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise SettingsError(f"{variable} names {path}, which is not UTF-8 text; save it as such.") from error

    def __call__(self) -> dict[str, Any]:
        """Return the secrets that are given as files."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class Settings(BaseSettings):
    """The base of all settings classes: frozen; a mistake raises one sentence that names the variable."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the first wins: arguments, the environment, a secret's file, `.env`."""
        return init_settings, env_settings, SecretFileSource(settings_cls), dotenv_settings

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the settings; raises SettingsError, which names each variable to change."""
        make = cast("Callable[..., Self]", cls)
        try:
            return make(**overrides)
        except ValidationError as error:
            raise SettingsError(_describe_mistakes(cls, error)) from error
        except UnicodeDecodeError as error:
            raise SettingsError(".env is not UTF-8 text; save it as such.") from error
        except OSError as error:
            raise SettingsError(f".env cannot be read: {error.strerror}.") from error


class LoggingSettings(Settings):
    """The settings of every service's log."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    format: Annotated[Format | None, BeforeValidator(lambda value: value or None)] = Field(
        None, description="`console` for people or `json` for machines; empty: console on a terminal, else json"
    )
    level: Level = Field("info", description="`debug`, `info`, `warning` or `error`")


class HealthSettings(Settings):
    """The setting by which a service without a port shows that it is alive."""

    model_config = SettingsConfigDict(env_prefix="HEALTH_")

    file: Annotated[Path | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="A file that collector and predictor touch while they are alive, for `python -m shared.health`",
    )


def variable_name(cls: type[BaseSettings], field_name: str) -> str:
    """Return the environment variable that sets a field."""
    return (str(cls.model_config.get("env_prefix", "")) + field_name).upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether a field is a secret, so that `X_FILE` is read for it too."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def _describe_mistakes(cls: type[BaseSettings], error: ValidationError) -> str:
    parts = []
    for detail in error.errors(include_url=False, include_input=False):
        name = variable_name(cls, str(detail["loc"][0])) if detail["loc"] else "the settings"
        reason = (
            "is not set"
            if detail["type"] == "missing"
            else f"cannot be used: {detail['msg'].removeprefix('Value error, ')}"
        )
        parts.append(f"{name} {reason}")
    return "; ".join(parts) + " (see .env.example)."
