"""What runs in each mode, and with which settings."""

from pathlib import Path

import pytest

import collector.sources
import tests.sources
from deploy.local.plan import Mode, Plan, make_plan
from deploy.local.service import Service
from shared.errors import SettingsError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, nor a `.env`, plays a part."""
    monkeypatch.chdir(tmp_path)
    for name in ("API_HOST", "API_PORT", "LOG_FORMAT", "LOG_LEVEL", "PREDICTOR_MLFLOW_TRACKING_URI", "PREDICTOR_CACHE"):
        monkeypatch.delenv(name, raising=False)


def service(plan: Plan, name: str) -> Service:
    """Return the service of that name."""
    return next(service for layer in plan.layers for service in layer if service.name == name)


def test_live_and_simulated_minutes_never_share_a_state() -> None:
    """Each mode has a folder of its own, below one that is left out of the repository."""
    assert make_plan("run").folder == Path(".minutebook/live")
    assert make_plan("demo").folder == Path(".minutebook/demo")


def test_live_run_takes_the_users_settings_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange that is watched is the collector's."""
    monkeypatch.setenv("COLLECTOR_REST_URLS", "https://one.example,https://two.example")
    monkeypatch.setenv("API_PORT", "8123")
    plan = make_plan("run")
    assert plan.exchange_urls == ("https://one.example", "https://two.example")
    assert (plan.api_host, plan.api_port) == ("127.0.0.1", 8123)
    assert service(plan, "collector").environment["COLLECTOR_REST_URLS"] == "https://one.example,https://two.example"
    assert service(plan, "api").environment["API_PORT"] == "8123"
    assert [[service.name for service in layer] for layer in plan.layers] == [
        ["api", "mlflow"],
        ["collector", "predictor"],
    ]


def test_demo_meets_nothing_but_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user's settings say of the exchange; and not through a proxy either."""
    monkeypatch.setenv("COLLECTOR_REST_URLS", "https://one.example")
    monkeypatch.setenv("COLLECTOR_SOURCE", "binance")
    monkeypatch.setenv("COLLECTOR_SYMBOLS", "ethusdt,BTCUSDT")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    plan = make_plan("demo")
    simulator, collecting = service(plan, "simulator"), service(plan, "collector")
    url = collecting.environment["COLLECTOR_REST_URLS"]
    port = url.removeprefix("http://127.0.0.1:")
    assert simulator.command[simulator.command.index("--port") + 1] == port
    assert simulator.command[simulator.command.index("--symbols") + 1] == "ETHUSDT,BTCUSDT"
    assert simulator.answers_at.startswith(url)
    assert collecting.environment["COLLECTOR_STREAM_URL"] == f"ws://127.0.0.1:{port}"
    assert collecting.environment["COLLECTOR_ARCHIVE_URL"] == url
    assert collecting.environment["COLLECTOR_SOURCE"] == "simulated"
    assert collecting.environment["COLLECTOR_BACKFILL_SINCE"] == "14d"
    assert collecting.environment["NO_PROXY"] == "127.0.0.1"
    assert plan.exchange_urls == ()
    assert simulator in plan.layers[0]
    assert collecting in plan.layers[1]


@pytest.fixture
def second_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Coinbase be a source that the collector knows, too."""
    folder = str(Path(tests.sources.__file__).parent)
    monkeypatch.setattr(collector.sources, "__path__", [*collector.sources.__path__, folder])


@pytest.mark.usefixtures("second_source")
def test_demo_leaves_out_what_the_simulator_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would collect another exchange's minutes for real."""
    monkeypatch.setenv("COLLECTOR_SYMBOLS", "coinbase:btc-usd,ethusdt")
    monkeypatch.setenv("PREDICTOR_SYMBOLS", "coinbase:BTC-USD")
    plan = make_plan("demo")
    simulator = service(plan, "simulator")
    assert simulator.command[simulator.command.index("--symbols") + 1] == "ETHUSDT"
    assert service(plan, "collector").environment["COLLECTOR_SYMBOLS"] == "ETHUSDT"
    assert service(plan, "predictor").environment["PREDICTOR_SYMBOLS"] == "ETHUSDT"
    assert plan.left_out == ("coinbase:BTC-USD",)
    live = make_plan("run")
    assert live.left_out == ()
    assert service(live, "collector").environment["COLLECTOR_SYMBOLS"] == "coinbase:btc-usd,ethusdt"


@pytest.mark.usefixtures("second_source")
def test_demo_without_a_symbol_to_simulate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the setting that is to be changed."""
    monkeypatch.setenv("COLLECTOR_SYMBOLS", "coinbase:BTC-USD")
    with pytest.raises(SettingsError, match="COLLECTOR_SYMBOLS has none of its symbols; add one"):
        make_plan("demo")


@pytest.mark.parametrize("mode", ["run", "demo"])
def test_models_are_kept_in_the_run_s_own_mlflow(monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    """Below the run's folder, and nothing waits for it to start."""
    monkeypatch.setenv("PREDICTOR_HORIZONS", "1,60")
    plan = make_plan(mode)
    mlflow, predictor = service(plan, "mlflow"), service(plan, "predictor")
    assert str(plan.folder) in "".join(mlflow.environment.values())
    assert mlflow.answers_at == ""
    assert mlflow.command[mlflow.command.index("--port") + 1] == plan.mlflow_url.rpartition(":")[2]
    assert predictor.environment["PREDICTOR_MLFLOW_TRACKING_URI"] == plan.mlflow_url
    assert predictor.environment["PREDICTOR_CACHE"] == str(plan.folder / "models")
    assert predictor.environment["PREDICTOR_HORIZONS"] == "1,60"
    assert predictor.environment["NO_PROXY"] == "127.0.0.1"
    assert predictor.role == "predictor"


def test_another_registry_is_the_user_s_choice_for_live_models_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no MLflow is started for them; the demo's simulated models are never sent there."""
    monkeypatch.setenv("PREDICTOR_MLFLOW_TRACKING_URI", "databricks")
    plan = make_plan("run")
    assert plan.mlflow_url == ""
    assert "mlflow" not in [service.name for layer in plan.layers for service in layer]
    assert service(plan, "predictor").environment["PREDICTOR_MLFLOW_TRACKING_URI"] == "databricks"
    demo = make_plan("demo")
    assert service(demo, "predictor").environment["PREDICTOR_MLFLOW_TRACKING_URI"] == demo.mlflow_url


def test_taken_port_sends_mlflow_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs, or another program, may be on the usual one."""
    monkeypatch.setattr("deploy.local.plan.is_port_free", lambda _host, _port: False)
    url = make_plan("run").mlflow_url
    assert url.startswith("http://127.0.0.1:")
    assert url != "http://127.0.0.1:5000"


@pytest.mark.parametrize("name", ["COLLECTOR_DATABASE_URL", "API_DATABASE_URL_FILE", "API_DATABASE_PASSWORD"])
def test_no_other_installations_database_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """What `.env` or the shell says of a server belongs to that server."""
    secret = tmp_path / "secret"
    secret.write_text("postgresql://elsewhere/other", encoding="utf-8")
    monkeypatch.setenv(name, str(secret))
    for plan in (make_plan("run"), make_plan("demo")):
        assert not any(name in service.environment for layer in plan.layers for service in layer)


def test_lines_are_for_people_unless_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services write into a pipe, which alone would make them write JSON."""
    assert service(make_plan("run"), "api").environment["LOG_FORMAT"] == "console"
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert service(make_plan("run"), "api").environment["LOG_FORMAT"] == "json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "eighty"),
        ("API_PORT", "70000"),
        ("COLLECTOR_SYMBOLS", ","),
        ("LOG_LEVEL", "loud"),
        ("PREDICTOR_SCHEDULE", "daily"),
    ],
)
def test_malformed_setting_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """By the name that is to be changed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        make_plan("run")


def test_port_zero_is_a_free_one_that_the_supervisor_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it could not say where to look."""
    monkeypatch.setenv("API_PORT", "0")
    plan = make_plan("run")
    assert plan.api_port > 0
    assert service(plan, "api").environment["API_PORT"] == str(plan.api_port)
