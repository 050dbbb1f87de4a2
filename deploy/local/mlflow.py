"""Describes the MLflow server of a local run: an SQLite database and a folder for files, on loopback only."""

import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.service import Service

NAME = "mlflow"
# `mlflow server` passes its options in these variables to a uvicorn that it starts and waits for. We start that uvicorn
# ourselves, which takes half the time and half the memory, and leaves one process to stop instead of two.
_STORE = "_MLFLOW_SERVER_FILE_STORE"
_REGISTRY = "_MLFLOW_SERVER_REGISTRY_STORE"
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_SERVES_ARTIFACTS = "_MLFLOW_SERVER_SERVE_ARTIFACTS"
_ARTIFACTS = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
# Clients read and write files through the server, wherever it keeps them.
_PROXIED = "mlflow-artifacts:/"


def make_mlflow_address(port: int) -> str:
    """Return the URL at which a browser and the predictor reach the server."""
    return f"http://{LOOPBACK}:{port}"


def make_mlflow_service(folder: Path, port: int, environment: Mapping[str, str]) -> Service:
    """Return the service; it keeps everything below `folder`, which must exist before it starts."""
    return Service(
        name=NAME,
        command=make_mlflow_command(port),
        environment={**environment, **make_mlflow_environment(folder, port)},
        answers_at=f"{make_mlflow_address(port)}/health",
    )


def make_mlflow_command(port: int) -> tuple[str, ...]:
    """Return the command line of one server process."""
    return (
        sys.executable,
        # MLflow uses a deprecated part of Starlette, which we cannot change.
        *("-W", "ignore:starlette.middleware.wsgi"),
        *("-m", "uvicorn", "mlflow.server.fastapi_app:app"),
        *("--host", LOOPBACK, "--port", str(port), "--log-level", "warning", "--no-access-log"),
    )


def make_mlflow_environment(folder: Path, port: int, artifacts: str | None = None) -> dict[str, str]:
    """Return the server's environment; `artifacts` is a URL at which to keep files instead of `folder`."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        _STORE: store,
        _REGISTRY: store,
        _ARTIFACT_ROOT: _PROXIED,
        _SERVES_ARTIFACTS: "true",
        _ARTIFACTS: artifacts or str(folder / "artifacts"),
        # Other host names are refused, so that no foreign web page can reach the server by DNS rebinding.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{port},localhost:{port}",
        # Job execution starts one or two more processes, for features that need language models.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
