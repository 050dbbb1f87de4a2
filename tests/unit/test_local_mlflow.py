"""The MLflow server that a run on one machine brings along."""

from pathlib import Path

from deploy.local.mlflow import make_mlflow_address, make_mlflow_service


def test_server_keeps_everything_in_the_folder_of_the_run() -> None:
    """And listens on loopback, where it has to answer before what needs it starts."""
    service = make_mlflow_service(Path("state"), 15_001, {"LOG_LEVEL": "info"})
    kept = [value for value in service.environment.values() if "state" in value]
    assert len(kept) == 3
    assert service.answers_at == "http://127.0.0.1:15001/health"
    assert make_mlflow_address(15_001) == "http://127.0.0.1:15001"
    assert (
        service.command[service.command.index("--host") + 1],
        service.command[service.command.index("--port") + 1],
    ) == ("127.0.0.1", "15001")
    assert service.environment["LOG_LEVEL"] == "info"


def test_server_tells_nobody_about_itself() -> None:
    """Whatever the user's environment says."""
    environment = make_mlflow_service(Path("state"), 15_001, {"MLFLOW_DISABLE_TELEMETRY": "false"}).environment
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == environment["DO_NOT_TRACK"] == "true"
