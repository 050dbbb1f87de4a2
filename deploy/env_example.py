"""Writes `.env.example`, every setting with its default, from the settings classes; `make env-example` calls it."""

import sys
import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from api.settings import ApiSettings
from collector.settings import CollectorSettings
from collector.sources.registry import list_sources, load_source
from predictor.settings import PredictorSettings
from shared.database.settings import MigrateSettings
from shared.settings import HealthSettings, LoggingSettings, Settings, is_secret, variable_name

HEAD = """\
# Every setting of Minutebook with its default. Copy this file to `.env` and change what you need; the environment wins
# over `.env`. A line that is commented out has no default. Of every secret X the file named by X_FILE is read as well.
"""
SECTIONS: dict[str, type[Settings]] = {
    "The database's owner and roles: python -m shared.database": MigrateSettings,
    "Collector": CollectorSettings,
    **{f"Collector: {name}, one of its sources": load_source(name).SourceSettings for name in list_sources()},
    "Predictor": PredictorSettings,
    "API": ApiSettings,
    "Logs of every service": LoggingSettings,
    "Containers": HealthSettings,
}


def render() -> str:
    """Return the file's text."""
    return HEAD + "".join(_render_section(title, settings) for title, settings in SECTIONS.items())


def _render_section(title: str, settings: type[Settings]) -> str:
    lines = ["", f"# --- {title}", ""]
    for name, field in settings.model_fields.items():
        lines += _render_setting(variable_name(settings, name), field)
    return "\n".join(lines) + "\n"


def _render_setting(variable: str, field: FieldInfo) -> Iterator[str]:
    secret = f" (or {variable}_FILE)" if is_secret(field) else ""
    yield from textwrap.wrap(f"{field.description}{secret}.", 118, initial_indent="# ", subsequent_indent="# ")
    if field.is_required() or (field.default is None and is_secret(field)):
        yield f"# {variable}="
    else:
        yield f"{variable}={_render_value(field.default)}"


def _render_value(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
