"""A real MLflow server for tests: a process with sqlite and a folder of its own, which a test may kill."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.mlflow import make_mlflow_address, make_mlflow_command, make_mlflow_environment
from deploy.local.ports import LOOPBACK, find_free_port
from tests.processes import ROOT, answers

# It imports for some seconds, and longer beside other tests.
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0


class MlflowServer:
    """The server in `folder`; started again, it is at the same address and knows what it knew."""

    def __init__(
        self, folder: Path, artifacts: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._port = find_free_port()
        self._environment = {
            **os.environ,
            **make_mlflow_environment(folder, self._port, artifacts),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return make_mlflow_address(self._port)

    @property
    def process(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                make_mlflow_command(self._port),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"MLflow does not start: {(self.folder / 'log').read_text(errors='replace')}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)

    def _answers(self) -> bool:
        return answers(LOOPBACK, self._port, "/health")


@contextmanager
def mlflow_server(
    folder: Path, artifacts: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[MlflowServer]:
    """Run a server in `folder`, with its files there or at the URL `artifacts`."""
    server = MlflowServer(folder, artifacts, environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
