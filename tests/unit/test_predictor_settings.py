"""The predictor's settings, and the schedule among them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from predictor.schedule import Schedule
from predictor.service.training_process import make_environment
from predictor.settings import PredictorSettings
from shared.errors import SettingsError

DATABASE_URL = "postgresql://localhost/minutebook"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set but what has no default."""
    monkeypatch.chdir(tmp_path)
    for name in PredictorSettings.model_fields:
        monkeypatch.delenv(f"PREDICTOR_{name.upper()}", raising=False)
    monkeypatch.setenv("PREDICTOR_DATABASE_URL", DATABASE_URL)


def test_defaults_are_the_contract_s() -> None:
    """One symbol, four horizons, a training at night."""
    settings = PredictorSettings.load()
    assert (settings.symbols, settings.horizons, settings.schedule) == (("BTCUSDT",), (1, 5, 15, 60), "15 3 * * *")
    assert settings.cache == Path(".minutebook/models")


@pytest.mark.parametrize(("text", "horizons"), [("60, 5,1,5", (1, 5, 60)), ("1440", (1440,))])
def test_horizons_are_minutes_in_order(monkeypatch: pytest.MonkeyPatch, text: str, horizons: tuple[int, ...]) -> None:
    """Each once."""
    monkeypatch.setenv("PREDICTOR_HORIZONS", text)
    assert PredictorSettings.load().horizons == horizons


@pytest.mark.parametrize("uri", ["http://mlflow:5000/", "https://host/path", "databricks", "databricks://profile"])
def test_registry_is_an_mlflow_server_or_databricks(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """The same code serves all of them."""
    monkeypatch.setenv("PREDICTOR_MLFLOW_TRACKING_URI", uri)
    assert PredictorSettings.load().mlflow_tracking_uri == uri.rstrip("/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREDICTOR_DATABASE_URL", "mysql://localhost/minutebook"),
        ("PREDICTOR_SYMBOLS", ","),
        ("PREDICTOR_HORIZONS", ""),
        ("PREDICTOR_HORIZONS", "0"),
        ("PREDICTOR_HORIZONS", "1,1441"),
        ("PREDICTOR_HORIZONS", "1,five"),
        ("PREDICTOR_HORIZONS", "1.5"),
        ("PREDICTOR_SCHEDULE", ""),
        ("PREDICTOR_SCHEDULE", "15 3 * *"),
        ("PREDICTOR_SCHEDULE", "0 15 3 * * *"),
        ("PREDICTOR_SCHEDULE", "61 3 * * *"),
        ("PREDICTOR_SCHEDULE", "0 0 30 2 *"),
        ("PREDICTOR_MLFLOW_TRACKING_URI", "mlflow:5000"),
        ("PREDICTOR_MLFLOW_TRACKING_URI", "http://"),
        ("PREDICTOR_MLFLOW_SCHEMA", "workspace"),
        ("PREDICTOR_MLFLOW_SCHEMA", "a.b.c"),
        ("PREDICTOR_MLFLOW_SCHEMA", "workspace."),
    ],
)
def test_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """In a sentence."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} cannot be used"):
        PredictorSettings.load()


def test_database_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the setting's name."""
    monkeypatch.delenv("PREDICTOR_DATABASE_URL")
    with pytest.raises(SettingsError, match="PREDICTOR_DATABASE_URL is not set"):
        PredictorSettings.load()


def test_registry_is_asked_for_by_what_needs_it() -> None:
    """Scoring does not."""
    settings = PredictorSettings.load()
    with pytest.raises(SettingsError, match="PREDICTOR_MLFLOW_TRACKING_URI is not set"):
        settings.registry_uri()


def test_child_has_the_parent_s_settings_for_its_symbol(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every one of them, however the parent came by it."""
    values: dict[str, object] = {
        "database_url": "postgresql://elsewhere/minutebook",
        "symbols": ("BTCUSDT", "ETHUSDT"),
        "horizons": (2, 30),
        "schedule": "0 * * * *",
        "mlflow_tracking_uri": "databricks",
        "mlflow_schema": "prices.btc",
        "cache": tmp_path / "models",
    }
    assert values.keys() == PredictorSettings.model_fields.keys()
    settings = PredictorSettings.load(**values)
    for name, value in make_environment(settings, "ETHUSDT").items():
        monkeypatch.setenv(name, value)
    assert PredictorSettings.load() == settings.model_copy(update={"symbols": ("ETHUSDT",)})


AT_THREE = datetime(2026, 1, 5, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "next_"),
    [
        (AT_THREE, AT_THREE, AT_THREE.replace(day=6)),
        (AT_THREE.replace(microsecond=1), AT_THREE, AT_THREE.replace(day=6)),
        (AT_THREE.replace(second=59), AT_THREE, AT_THREE.replace(day=6)),
        (AT_THREE.replace(minute=14, second=59, microsecond=999_999), AT_THREE.replace(day=4), AT_THREE),
        (AT_THREE.replace(hour=0), AT_THREE.replace(day=4), AT_THREE),
    ],
)
def test_schedule_looks_both_ways(now: datetime, last: datetime, next_: datetime) -> None:
    """The instant itself has come, and is not the next one."""
    schedule = Schedule("15 3 * * *")
    assert (schedule.last_until(now), schedule.next_after(now)) == (last, next_)


def test_schedule_that_is_off_names_no_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else trains."""
    monkeypatch.setenv("PREDICTOR_SCHEDULE", "off")
    schedule = Schedule(PredictorSettings.load().schedule)
    assert (schedule.is_off, schedule.last_until(AT_THREE), schedule.next_after(AT_THREE)) == (True, None, None)
