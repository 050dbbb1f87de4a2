"""What runs in each mode and with which settings: the services in layers, the first to start being the last to end."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from api.settings import ApiSettings
from collector.settings import CollectorSettings
from collector.sources.binance.settings import BinanceSettings
from collector.sources.registry import load_source_settings
from deploy.local.mlflow import mlflow_address, mlflow_service
from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.service import Service
from predictor.settings import PredictorSettings
from shared.settings import LoggingSettings
from shared.symbols import BINANCE, source_of

Mode = Literal["run", "demo"]

STATE = Path(".minutebook")
DEMO_BACKFILL = "14d"
_DEMO_SEED = "1"
# Where MLflow is looked for by habit.
_MLFLOW_PORT = 5000
# The database's URL does not exist before the database; the settings that are read before it want one.
_NOT_YET = "postgresql://localhost/minutebook"
# Whoever goes through the environment's proxy is told that it knows nothing of this machine's ports.
_NO_PROXY = {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}
# What the user's environment says about another installation's database is kept from the services of this one.
_FOREIGN = ("_DATABASE_URL", "_DATABASE_URL_FILE", "_DATABASE_PASSWORD", "_DATABASE_PASSWORD_FILE")


@dataclass(frozen=True)
class Plan:
    """A whole run; `exchange_urls` is what has to be reachable for live minutes, empty when the run brings its own.

    `mlflow_url` is where its own MLflow is, empty when the user named another.
    """

    folder: Path
    layers: tuple[tuple[Service, ...], ...]
    api_host: str
    api_port: int
    exchange_urls: tuple[str, ...] = ()
    mlflow_url: str = ""


def make_plan(mode: Mode) -> Plan:
    """Read the settings and lay out the run; raises SettingsError before anything is started."""
    simulated = _simulated(free_port()) if mode == "demo" else {}
    # Read here so that a mistake is said once and at once, and not by each service for itself.
    logging = LoggingSettings.load()
    api = ApiSettings.load(database_url=_NOT_YET)
    collector = CollectorSettings.load(
        database_url=_NOT_YET,
        **{
            name.removeprefix("COLLECTOR_").lower(): value
            for name, value in simulated.items()
            if name.startswith("COLLECTOR_")
        },
    )
    binance = load_source_settings(collector.symbols).get(BINANCE)
    predictor = PredictorSettings.load(database_url=_NOT_YET)
    api_port = api.port or free_port()
    environment = _environment(logging)
    folder = STATE / ("live" if mode == "run" else "demo")
    # Simulated models stay on this machine, whatever registry the user has for others.
    brings_mlflow = mode == "demo" or not predictor.mlflow_tracking_uri
    mlflow_port = (_MLFLOW_PORT if is_free(LOOPBACK, _MLFLOW_PORT) else free_port()) if brings_mlflow else 0
    mlflow_url = mlflow_address(mlflow_port) if brings_mlflow else ""
    predictions = environment | _predictions(folder, mlflow_url)
    serving = _python("api", "api", environment=environment | {"API_PORT": str(api_port)}, role="api")
    collecting = _python("collector", "collector", "run", environment=environment | simulated, role="collector")
    predicting = _python("predictor", "predictor", "run", environment=predictions, role="predictor")
    first = [serving]
    if brings_mlflow:
        # Nothing waits for it: the predictor asks until it answers.
        first.append(replace(mlflow_service(folder, mlflow_port, environment), answers_at=""))
    if mode == "demo":
        symbols = tuple(symbol for symbol in collector.symbols if source_of(symbol) == BINANCE)
        first.append(_simulator(simulated["COLLECTOR_REST_URLS"], symbols, environment))
    exchange_urls = binance.rest_urls if mode == "run" and isinstance(binance, BinanceSettings) else ()
    return Plan(folder, (tuple(first), (collecting, predicting)), api.host, api_port, exchange_urls, mlflow_url)


def _simulated(port: int) -> dict[str, str]:
    """Return the collector's settings against the simulator; simulated and real minutes never share a state."""
    return {
        "COLLECTOR_SOURCE": "simulated",
        "COLLECTOR_REST_URLS": f"http://{LOOPBACK}:{port}",
        "COLLECTOR_STREAM_URL": f"ws://{LOOPBACK}:{port}",
        "COLLECTOR_ARCHIVE_URL": f"http://{LOOPBACK}:{port}",
        "COLLECTOR_BACKFILL_SINCE": DEMO_BACKFILL,
        **_NO_PROXY,
    }


def _predictions(folder: Path, mlflow_url: str) -> dict[str, str]:
    """Return the predictor's settings in a run: a registry of the run's own, if it has one, and a cache of its own."""
    registry = {"PREDICTOR_MLFLOW_TRACKING_URI": mlflow_url, **_NO_PROXY} if mlflow_url else {}
    return {"PREDICTOR_CACHE": str(folder / "models"), **registry}


def _simulator(url: str, symbols: tuple[str, ...], environment: Mapping[str, str]) -> Service:
    port = url.rpartition(":")[2]
    arguments = ["--host", LOOPBACK, "--port", port, "--seed", _DEMO_SEED, "--symbols", ",".join(symbols)]
    return _python("simulator", "simulator", *arguments, environment=environment, answers_at=f"{url}/api/v3/ping")


def _python(
    name: str, module: str, *arguments: str, environment: Mapping[str, str], role: str = "", answers_at: str = ""
) -> Service:
    command = (sys.executable, "-m", module, *arguments)
    return Service(name=name, command=command, environment=environment, role=role, answers_at=answers_at)


def _environment(logging: LoggingSettings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(_FOREIGN)}
    # Lines come through a pipe; they are still for people unless something else is asked for.
    return inherited | {
        "PYTHONUNBUFFERED": "1",
        "LOG_FORMAT": logging.format or "console",
        "LOG_LEVEL": logging.level,
    }
