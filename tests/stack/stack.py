"""The Compose stack as a newcomer has it: a fresh copy of the project, `make up`, and a project name of its own."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.engine import is_running
from tests.images import copy_project, remove_images

OWN_SERVICES = ("api", "collector", "mlflow", "predictor", "simulator")
RUNNING = (*OWN_SERVICES, "gateway", "minio", "postgres")
_PREFIX = "minutebook-test-"
# What a test cannot wait for: `make up` goes on when a service is seen to be healthy. All else is as it ships.
_OVERRIDE = """\
services:
  postgres: {healthcheck: {interval: 1s}}
  replica: {healthcheck: {interval: 1s}}
  gateway: {healthcheck: {interval: 1s}}
  api: {healthcheck: {interval: 2s}}
  simulator: {healthcheck: {interval: 2s}}
  mlflow: {healthcheck: {interval: 4s}}
  collector: {healthcheck: {interval: 5s}}
  predictor: {healthcheck: {interval: 5s}}
"""
_REQUEST_SECONDS = 8
_PAUSE_SECONDS = 0.01


@dataclass
class Load:
    """What became of requests: how many of each status, what failed, and what failed when it was asked once more."""

    statuses: Counter[int] = field(default_factory=Counter)
    types: set[tuple[int, str]] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many were answered."""
        return self.statuses.total()


class Stack:
    """One stack, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        own = {
            "GATEWAY_PORT": "0",
            "MLFLOW_PORT": "0",
            "MINIO_CONSOLE_PORT": "0",
            "COMPOSE_PROJECT_NAME": self.project,
            # Images of its own, beside those that are in use here.
            "MINUTEBOOK_VERSION": f"test-{self.project}",
            # No training begins by the clock in the midst of a test.
            "PREDICTOR_SCHEDULE": "0 0 29 2 *",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "MINUTEBOOK_"))}
        self._environment = {**kept, **own}

    def make(self, *arguments: str, given: str | None = None, seconds: float = 500) -> str:
        """Run make, and return what it says."""
        return self.run("make", f"PYTHON={sys.executable}", *arguments, given=given, seconds=seconds)

    def compose(self, *arguments: str, seconds: float = 120) -> str:
        """Run Compose, and return what it says."""
        return self.run("docker", "compose", *arguments, seconds=seconds)

    def shell(self, console: str, seconds: float = 300) -> str:
        """Run the lines of a document that follow a `$`, as one would who has the demo, up to the first that fails."""
        lines = [line[2:] for line in console.splitlines() if line.startswith("$ ")]
        demo = [line.replace("make up", f"make PYTHON={sys.executable} up DEMO=1") for line in lines]
        return self.run("bash", "-euo", "pipefail", "-c", "\n".join(demo), seconds=seconds)

    def run(self, *command: str, given: str | None = None, seconds: float = 60) -> str:
        """Run a command in the stack's folder, and return what it says; raises AssertionError with that if it fails."""
        answer = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            input=given or "",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert answer.returncode == 0, f"{' '.join(command)}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def inspect(self, service: str) -> list[dict[str, Any]]:
        """Return what the engine knows of a service's containers, ended ones too."""
        names = self.compose("ps", "--all", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *names))
        return found

    def python(self, service: str, program: str) -> str:
        """Return what a program prints in a service's container."""
        return self.compose("exec", "-T", service, "python", "-c", program).strip()

    def sql(self, statement: str, database: str = "minutebook") -> str:
        """Return what Postgres says to its owner."""
        psql = ("psql", "--host", "/var/run/postgresql", "--username", "postgres", database, "-qAtc", statement)
        return self.compose("exec", "-T", "postgres", *psql).strip()

    @property
    def url(self) -> str:
        """Where the gateway answers; the engine gives it another port at each start."""
        return f"http://127.0.0.1:{self.compose('port', 'gateway', '8080').strip().rpartition(':')[2]}"

    async def ask(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def until_answered(self, path: str, is_right: Callable[[int, Any], bool], seconds: float) -> Any:
        """Wait until the gateway's answer is right, and return it."""
        last: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        status, last = await self.ask(path)
                        if is_right(status, last):
                            return last
                    except (aiohttp.ClientError, ValueError) as error:
                        last = error
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"{path} was not right within {seconds} s; it was {last}") from None

    @asynccontextmanager
    async def load(self, path: str, clients: int = 4) -> AsyncIterator[Load]:
        """Ask all the while, each client a new connection a request, and once more where a request is lost."""
        load = Load()
        url = self.url + path
        done = asyncio.Event()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(_REQUEST_SECONDS)
        ) as session:
            tasks = [asyncio.create_task(_client(session, url, load, done)) for _ in range(clients)]
            try:
                yield load
            finally:
                done.set()
                await asyncio.gather(*tasks)

    def replicas_asked(self, path: str) -> Counter[str]:
        """Return how often the gateway gave a path to each address."""
        lines = self.compose("logs", "--no-log-prefix", "--no-color", "gateway").splitlines()
        requests = [json.loads(line[line.index("{") :]) for line in lines if path in line and "{" in line]
        return Counter(request["replica"] for request in requests)


async def _client(session: aiohttp.ClientSession, url: str, load: Load, done: asyncio.Event) -> None:
    while not done.is_set():
        for sink in (load.failed, load.lost):
            try:
                async with session.get(url) as answer:
                    await answer.read()
                    load.statuses[answer.status] += 1
                    load.types.add((answer.status, answer.content_type))
                    break
            except (aiohttp.ClientError, TimeoutError) as error:
                sink.append(repr(error))
        await asyncio.sleep(_PAUSE_SECONDS)


@contextmanager
def started(folder: Path) -> Iterator[Stack]:
    """Copy what git knows of the project, start it with the simulated exchange, and leave nothing behind."""
    copy_project(folder)
    (folder / "compose.override.yml").write_text(_OVERRIDE)
    stack = Stack(folder)
    _remove_abandoned(stack)
    try:
        stack.make("up", "DEMO=1")
        yield stack
    finally:
        stack.make("clean", "CONFIRM=yes")
        remove_images(f"minutebook/*:test-{stack.project}")


def _remove_abandoned(stack: Stack) -> None:
    """Remove the stacks of earlier processes that were killed before they could: they would start with the engine."""
    for project in json.loads(stack.run("docker", "compose", "ls", "--all", "--format", "json")):
        process = project["Name"].removeprefix(_PREFIX).partition("-")[0]
        if project["Name"].startswith(_PREFIX) and process.isdigit() and not is_running(int(process)):
            stack.make("clean", "CONFIRM=yes", f"COMPOSE_PROJECT_NAME={project['Name']}")
