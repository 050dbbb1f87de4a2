"""Plans a run: which services run in each mode, in which order and with which settings."""

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
from deploy.local.mlflow import make_mlflow_address, make_mlflow_service
from deploy.local.ports import LOOPBACK, find_free_port, is_port_free
from deploy.local.service import Service
from predictor.settings import PredictorSettings
from shared.errors import SettingsError
from shared.settings import LoggingSettings
from shared.symbols import BINANCE, source_of

Mode = Literal["run", "demo"]

STATE = Path(".minutebook")
DEMO_BACKFILL = "14d"
_DEMO_SEED = "1"
# The port that MLflow uses by default.
_MLFLOW_PORT = 5000
# The settings need a database URL, and are read before the database exists.
_PLACEHOLDER_URL = "postgresql://localhost/minutebook"
# Requests to this machine must not go through the environment's proxy.
_NO_PROXY = {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}
# These variables of the user's environment name another installation's database; they are not passed to the services.
_NOT_PASSED_ON = ("_DATABASE_URL", "_DATABASE_URL_FILE", "_DATABASE_PASSWORD", "_DATABASE_PASSWORD_FILE")


@dataclass(frozen=True)
class Plan:
    """A whole run; the services start layer by layer, and stop in the reverse order.

    `exchange_urls` are the hosts that live minutes need; empty when the exchange is simulated. `mlflow_url` is the URL
    of the run's own MLflow; empty when the user named another server. `left_out` are the symbols that a demo cannot
    simulate, since they are not Binance's.
    """

    folder: Path
    layers: tuple[tuple[Service, ...], ...]
    api_host: str
    api_port: int
    exchange_urls: tuple[str, ...] = ()
    mlflow_url: str = ""
    left_out: tuple[str, ...] = ()


def make_plan(mode: Mode) -> Plan:
    """Read the settings and plan the run; raises SettingsError, before anything has started."""
    simulated = _make_simulated_settings(find_free_port()) if mode == "demo" else {}
    # Read all settings here, so that a mistake is reported once and at once, and not by each service.
    logging = LoggingSettings.load()
    api = ApiSettings.load(database_url=_PLACEHOLDER_URL)
    collector = CollectorSettings.load(
        database_url=_PLACEHOLDER_URL,
        **{
            name.removeprefix("COLLECTOR_").lower(): value
            for name, value in simulated.items()
            if name.startswith("COLLECTOR_")
        },
    )
    symbols = _choose_simulated(collector.symbols) if mode == "demo" else collector.symbols
    binance = load_source_settings(symbols).get(BINANCE)
    predictor = PredictorSettings.load(database_url=_PLACEHOLDER_URL)
    api_port = api.port or find_free_port()
    environment = _make_environment(logging)
    folder = STATE / ("live" if mode == "run" else "demo")
    # Models of simulated prices stay on this machine, also when the user has named a registry.
    runs_mlflow = mode == "demo" or not predictor.mlflow_tracking_uri
    mlflow_port = (_MLFLOW_PORT if is_port_free(LOOPBACK, _MLFLOW_PORT) else find_free_port()) if runs_mlflow else 0
    mlflow_url = make_mlflow_address(mlflow_port) if runs_mlflow else ""
    predictions = environment | _make_predictor_settings(folder, mlflow_url)
    serving = _make_python_service("api", "api", environment=environment | {"API_PORT": str(api_port)}, role="api")
    if mode == "demo":
        simulated["COLLECTOR_SYMBOLS"] = ",".join(symbols)
        predictions["PREDICTOR_SYMBOLS"] = ",".join(_select_binance(predictor.symbols) or symbols)
    collecting = _make_python_service(
        "collector", "collector", "run", environment=environment | simulated, role="collector"
    )
    predicting = _make_python_service("predictor", "predictor", "run", environment=predictions, role="predictor")
    first = [serving]
    if runs_mlflow:
        # No other service waits for MLflow: the predictor repeats its requests until it answers.
        first.append(replace(make_mlflow_service(folder, mlflow_port, environment), answers_at=""))
    if mode == "demo":
        first.append(_make_simulator_service(simulated["COLLECTOR_REST_URLS"], symbols, environment))
    exchange_urls = binance.rest_urls if mode == "run" and isinstance(binance, BinanceSettings) else ()
    left_out = tuple(symbol for symbol in collector.symbols if symbol not in symbols)
    layers = (tuple(first), (collecting, predicting))
    return Plan(folder, layers, api.host, api_port, exchange_urls, mlflow_url, left_out)


def _choose_simulated(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols that a demo collects; raises SettingsError when there are none."""
    chosen = _select_binance(symbols)
    if not chosen:
        raise SettingsError(
            "The demo simulates Binance alone, and COLLECTOR_SYMBOLS has none of its symbols; add one, such as BTCUSDT."
        )
    return chosen


def _select_binance(symbols: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(symbol for symbol in symbols if source_of(symbol) == BINANCE)


def _make_simulated_settings(port: int) -> dict[str, str]:
    """Return the collector's settings for the simulator; their source keeps simulated and real minutes apart."""
    return {
        "COLLECTOR_SOURCE": "simulated",
        "COLLECTOR_REST_URLS": f"http://{LOOPBACK}:{port}",
        "COLLECTOR_STREAM_URL": f"ws://{LOOPBACK}:{port}",
        "COLLECTOR_ARCHIVE_URL": f"http://{LOOPBACK}:{port}",
        "COLLECTOR_BACKFILL_SINCE": DEMO_BACKFILL,
        **_NO_PROXY,
    }


def _make_predictor_settings(folder: Path, mlflow_url: str) -> dict[str, str]:
    """Return the predictor's settings: the run's own cache, and its own registry if it has one."""
    registry = {"PREDICTOR_MLFLOW_TRACKING_URI": mlflow_url, **_NO_PROXY} if mlflow_url else {}
    return {"PREDICTOR_CACHE": str(folder / "models"), **registry}


def _make_simulator_service(url: str, symbols: tuple[str, ...], environment: Mapping[str, str]) -> Service:
    port = url.rpartition(":")[2]
    arguments = ["--host", LOOPBACK, "--port", port, "--seed", _DEMO_SEED, "--symbols", ",".join(symbols)]
    return _make_python_service(
        "simulator", "simulator", *arguments, environment=environment, answers_at=f"{url}/api/v3/ping"
    )


def _make_python_service(
    name: str, module: str, *arguments: str, environment: Mapping[str, str], role: str = "", answers_at: str = ""
) -> Service:
    command = (sys.executable, "-m", module, *arguments)
    return Service(name=name, command=command, environment=environment, role=role, answers_at=answers_at)


def _make_environment(logging: LoggingSettings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(_NOT_PASSED_ON)}
    # The services write to a pipe, but people read their lines, unless LOG_FORMAT says otherwise.
    return inherited | {
        "PYTHONUNBUFFERED": "1",
        "LOG_FORMAT": logging.format or "console",
        "LOG_LEVEL": logging.level,
    }
