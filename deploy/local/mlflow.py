"""The MLflow server of a run on one machine: sqlite and a folder for its files, on loopback, and no further."""

import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.service import Service

NAME = "mlflow"
# What `mlflow server` hands to the uvicorn that it starts and then waits for. Started without it, the server is there
# in half the time and half the memory, and one process instead of two has to end.
_STORE = "_MLFLOW_SERVER_FILE_STORE"
_REGISTRY = "_MLFLOW_SERVER_REGISTRY_STORE"
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_SERVES_ARTIFACTS = "_MLFLOW_SERVER_SERVE_ARTIFACTS"
_ARTIFACTS = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
# Clients reach the files through the server only, wherever it keeps them.
_PROXIED = "mlflow-artifacts:/"


def mlflow_address(port: int) -> str:
    """Where a browser and the predictor find it."""
    return f"http://{LOOPBACK}:{port}"


def mlflow_service(folder: Path, port: int, environment: Mapping[str, str]) -> Service:
    """Return the service, which keeps everything below `folder`; that has to exist before it starts."""
    return Service(
        name=NAME,
        command=mlflow_command(port),
        environment={**environment, **mlflow_environment(folder, port)},
        answers_at=f"{mlflow_address(port)}/health",
    )


def mlflow_command(port: int) -> tuple[str, ...]:
    """Return the command line of one server process."""
    return (
        sys.executable,
        # It uses a part of Starlette that is on its way out; nobody here can change that.
        *("-W", "ignore:starlette.middleware.wsgi"),
        *("-m", "uvicorn", "mlflow.server.fastapi_app:app"),
        *("--host", LOOPBACK, "--port", str(port), "--log-level", "warning", "--no-access-log"),
    )


def mlflow_environment(folder: Path, port: int, artifacts: str | None = None) -> dict[str, str]:
    """Return what the server is told by its environment; `artifacts` is a URL to keep files at instead of `folder`."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        _STORE: store,
        _REGISTRY: store,
        _ARTIFACT_ROOT: _PROXIED,
        _SERVES_ARTIFACTS: "true",
        _ARTIFACTS: artifacts or str(folder / "artifacts"),
        # Other names for this machine could be a foreign web page's way in.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{port},localhost:{port}",
        # A further process or two, for features that need language models.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
