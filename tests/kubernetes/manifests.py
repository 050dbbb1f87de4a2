"""The manifests as kustomize renders them, and ways to look through them."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("demo", "production")
# What operators define; their schemas come with them.
FOREIGN = {"ServiceMonitor", "Cluster", "HTTPRoute"}
Object = dict[str, Any]


def render(folder: Path) -> str:
    """Return what `kubectl kustomize` makes of a folder."""
    answer = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def load(text: str) -> list[Object]:
    """Return the objects of a stream of documents."""
    return [document for document in yaml.safe_load_all(text) if document]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the name and the template of whatever makes pods."""
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        match each["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                yield name, each["spec"]["template"]
            case "CronJob":
                yield name, each["spec"]["jobTemplate"]["spec"]["template"]


def containers(template: Object) -> list[Object]:
    """Return the containers of a pod, those that come first included."""
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels alone matches; an empty one matches everything."""
    assert set(selector) <= {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
