"""The demo in a real cluster: put there once for a module's tests, in a namespace of its own, and removed after."""

import asyncio
import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.images import TARGETS, build_images, copy_project, remove_images
from tests.kubernetes.manifests import FOLDER

PUBLIC_IMAGES = ("postgres:18-trixie", "pgsty/silo:RELEASE.2026-09-03T13-18-01Z")
# What a test cannot wait minutes for; all else is as in the overlay.
_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{steps}/overlays/demo]
images: [{images}]
components: [{steps}/components/retraining, {steps}/components/many-symbols]
patches:
  - target: {{kind: HorizontalPodAutoscaler, name: api}}
    patch: |-
      - {{op: replace, path: /spec/behavior/scaleDown/stabilizationWindowSeconds, value: 10}}
  - target: {{kind: CronJob, name: retraining}}
    patch: |-
      - {{op: add, path: /spec/suspend, value: true}}
  - target: {{kind: Service, name: api}}
    patch: |-
      - {{op: add, path: /spec/type, value: NodePort}}
"""
# A command that takes names of images and gives them to the cluster's nodes.
LOAD = "CLUSTER_LOAD"


def refusal() -> str | None:
    """Return why there is no cluster to use; None where one answers."""
    if not os.environ.get(LOAD):
        return f"{LOAD} names no command that gives images to a cluster"
    if shutil.which("kubectl") is None:
        return "no kubectl"
    command = ["kubectl", "get", "--raw", "/readyz", "--request-timeout", "5s"]
    answer = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return None if answer.returncode == 0 else "no Kubernetes cluster answers"


@dataclass
class Load:
    """What became of requests: how many of each status, and the errors."""

    statuses: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many were answered."""
        return self.statuses.total()


class Demo:
    """The demo as it runs."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder
        # Images of its own, beside those that are in use here.
        self._tags = {service: f"minutebook/{service}:{namespace}" for service in TARGETS}
        self.url = ""

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = 120) -> str:
        """Run kubectl in the namespace, and return what it says."""
        return self._run("kubectl", "--namespace", self.namespace, *arguments, given=given, seconds=seconds)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return what `kubectl get` finds."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return found

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Return a service's pods that are not about to end."""
        found = self.get("pods", "--selector", f"app.kubernetes.io/name={name}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, name: str) -> list[str]:
        """Return the names of a service's pods that take requests."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(name)
            if {"type": "Ready", "status": "True"}.items()
            <= {k: v for c in pod["status"].get("conditions", ()) if c["type"] == "Ready" for k, v in c.items()}.items()
        ]

    def sql(self, statement: str) -> str:
        """Return what Postgres says to its owner."""
        psql = ("psql", "--host", "/var/run/postgresql", "--username", "postgres", "minutebook", "-qAtc", statement)
        return self.kubectl("exec", "postgres-0", "--", *psql).strip()

    def deploy(self) -> None:
        """Build the images, give them to the cluster, and run the demo's own script."""
        clone = self._folder / "minutebook"
        copy_project(clone)
        with ThreadPoolExecutor(1) as threads:
            loading = threads.submit(self._load, *PUBLIC_IMAGES)
            build_images(clone, self._tags)
            loading.result()
        self._load(*self._tags.values())
        steps = Path(*[".."] * (len(self._folder.resolve().parts) - 1), *FOLDER.parts[1:])
        images = ", ".join(f"{{name: minutebook/{each}, newTag: {self.namespace}}}" for each in TARGETS)
        overlay = _OVERLAY.format(namespace=self.namespace, steps=steps, images=images)
        (self._folder / "kustomization.yaml").write_text(overlay)
        self._run(str(FOLDER / "demo"), str(self._folder), seconds=300)
        [port] = self.get("service", "api")["spec"]["ports"]
        addresses = self.get("nodes")["items"][0]["status"]["addresses"]
        node = next(each["address"] for each in addresses if each["type"] == "InternalIP")
        self.url = f"http://{node}:{port['nodePort']}"

    def remove(self) -> None:
        """Leave nothing behind."""
        # A namespace that ends deletes pods before jobs, and a failed job's pods wait for their job.
        self.kubectl("delete", "cronjob,job", "--all", "--wait=false")
        # Nobody asks them any more, so that none needs its time to end well; and none comes in their place.
        self.kubectl("delete", "deployment,statefulset", "--all", "--cascade=orphan")
        self.kubectl("delete", "pod", "--all", "--grace-period=1", "--wait=false")
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=true", seconds=180)
        remove_images(f"minutebook/*:{self.namespace}")

    def _load(self, *images: str) -> None:
        self._run(*shlex.split(os.environ[LOAD]), *images, seconds=300)

    def _run(self, *command: str, given: str | None = None, seconds: float) -> str:
        answer = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds, check=False)
        assert answer.returncode == 0, f"{command}: {answer.stderr}"
        return answer.stdout

    async def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of the API's answer, through the Service."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
            session.get(self.url + path) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def until(self, condition: Callable[[], Any], seconds: float) -> None:
        """Wait until the condition holds, asking each second in a thread."""
        began = time.monotonic()
        while not await asyncio.to_thread(condition):
            assert time.monotonic() - began < seconds, f"not within {seconds} s"
            await asyncio.sleep(1)

    @asynccontextmanager
    async def under_load(self, path: str, clients: int, pause_seconds: float) -> AsyncIterator[Load]:
        """Ask all the while, each request over a connection of its own, so that every pod gets its share."""
        load, stop = Load(), asyncio.Event()
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(15)) as session:

            async def client() -> None:
                while not stop.is_set():
                    try:
                        async with session.get(self.url + path) as answer:
                            await answer.read()
                            load.statuses[answer.status] += 1
                    except (aiohttp.ClientError, TimeoutError) as error:
                        load.errors.append(repr(error))
                    await asyncio.sleep(pause_seconds)

            async with asyncio.TaskGroup() as group:
                for number in range(clients):
                    group.create_task(client(), name=f"client {number}")
                try:
                    yield load
                finally:
                    stop.set()


@contextmanager
def deployed(folder: Path) -> Iterator[Demo]:
    """Yield the demo, ready, in a namespace of its own."""
    demo = Demo(f"minutebook-{os.getpid()}-{secrets.token_hex(2)}", folder)
    try:
        demo.deploy()
        yield demo
    finally:
        demo.remove()
